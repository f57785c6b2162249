import Batching
import Datasets
import Models
import RunFile
import Tensors

/// Something to minimise: a loss SUM and the COUNT that it is divided by once, over the whole global batch.
///
/// An objective says how its sum comes about as a ``LocalObjective`` or a ``PairObjective``.
public protocol Objective: Sendable {
  /// Its name in the metrics.
  var name: String { get }
  /// What its mean is multiplied with, by step; 0 in a step: it is measured, and nothing learns from it.
  var weight: WeightCourse { get }
  /// What its sum is divided by.
  var counted: Counted { get }
  /// Whether it asks for the states of the tokens that are trained, which takes the whole language model.
  var readsStates: Bool { get }
}

/// An objective whose sum over a micro-batch follows from that micro-batch alone.
public protocol LocalObjective: Objective {
  /// - Returns: the sum [1] on the tape of the pass, and its value in double precision.
  /// - Precondition: the batch has something to count.
  func loss(_ pass: ForwardPass, _ context: Context) -> (sum: Tensor, value: Double)
}

/// An objective of next tokens; all of a run share their logits, which exist in blocks and once.
public protocol TokenObjective: Objective {
  /// Enters its loss with a weight.
  func add(to terms: inout TokenTerms, weight: Float)
  /// Its own among the sums of a pass.
  func value(_ sums: TokenSums) -> Double
}

/// The sums over a micro-batch of the losses of next tokens, unweighted.
public struct TokenSums: Equatable, Sendable {
  public var crossEntropy = 0.0
  public var squaredLogSum = 0.0
  public var distillation = 0.0
}

extension TokenObjective {
  public var counted: Counted { .tokens }
  public var readsStates: Bool { true }
}

/// What the sum of an objective is divided by.
public enum Counted: Hashable, Sendable {
  /// Tokens that are trained, each as its weight says, or texts with labels.
  case tokens
  /// Records with pictures and trained tokens.
  case pairs
  /// Parts of pictures that words name.
  case regions
  /// Answers of records with pictures.
  case answers
  /// Those of records beside which the micro-batch has another with pictures.
  case comparisons

  func count(in batch: Batch) -> Double {
    switch self {
    case .tokens: return batch.weight
    case .pairs: return Double(batch.recordPairs.count)
    case .regions: return Double(batch.regions.reduce(0) { $0 + $1.count { !$0.rows.isEmpty && !$0.tokens.isEmpty } })
    case .answers: return Double(batch.answers.count)
    case .comparisons: return batch.recordPairs.count > 1 ? Double(batch.answers.count) : 0
    }
  }
}
