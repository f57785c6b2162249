import Batching
import Datasets
import Foundation
import Ground
import Metrics
import Models
import OrderedCollections
import Parallel
import Tensors

/// How well a model gives labels to texts and pictures.
public struct LabelEvaluation: Equatable, Sendable {
  /// What the model says of one record, and what it should.
  public struct SampleResult: Equatable, Sendable {
    public let index: Int
    public let loss: Double
    public let logits: [Double]
    /// The number of the label; or a number for each label.
    public let target: [Double]
  }

  public let labels: LabelSet
  /// In file order.
  public let samples: [SampleResult]

  init(labels: LabelSet, samples: [SampleResult]) { (self.labels, self.samples) = (labels, samples) }

  /// Evaluates all records; every rank takes a run of them, and every rank gets the whole result.
  ///
  /// A record is computed alone, so its figures depend on nothing else.
  /// - Parameter states: what makes the features of a head on frozen ones; nil for other models.
  public init(
    of model: MultimodalModel, _ source: LabelledSamples, states: StateCache? = nil, _ communicator: any Communicator,
    _ backend: any Backend
  ) throws {
    labels = source.labels
    let width = labels.names.count
    let targets = labels.problem == .singleLabel ? 1 : width
    var numbers: [Double] = []
    for index in share(of: source.count, rank: communicator.rank, of: communicator.count) {
      let (loss, logits, target) = try LabelEvaluation.result(
        of: source.sample(index), model, states, labels.problem, backend)
      numbers += [loss] + logits + target
    }
    let all = try communicator.allGather(numbers).flatMap { $0 }
    let size = 1 + width + targets
    samples = (0..<source.count).map { index in
      let own = all[index * size..<(index + 1) * size]
      return SampleResult(
        index: index, loss: own[own.startIndex], logits: Array(own.dropFirst().prefix(width)),
        target: Array(own.suffix(targets)))
    }
  }

  private static func result(
    of sample: Sample, _ model: MultimodalModel, _ states: StateCache?, _ problem: LabelProblem,
    _ backend: any Backend
  ) throws -> (loss: Double, logits: [Double], target: [Double]) {
    let (context, own) = (Context(backend), try Batch([sample]))
    guard let labels = own.labels, let classifier = model.classifier else {
      preconditionFailure("LabelEvaluation: a record with a label and a model with a classifier are wanted")
    }
    let logits: Tensor
    if let states {
      logits = classifier(states.rows(of: own).rows, context)
    } else {
      let batch = DeviceBatch(own, backend)
      logits = classifier(
        model.hidden(batch.tokens, imageRows: nil, pictures: nil, rows: batch.targetRows, context), context)
    }
    let target =
      switch labels {
      case .numbers(let numbers): numbers.map(Double.init)
      case .values(let values): values.map(Double.init)
      }
    return (context.labelLoss(logits, labels, problem).losses[0], backend.read(logits).map(Double.init), target)
  }

  public var loss: Double { mean(samples.map(\.loss)) }

  /// `loss`, and by the kind of labels what ``LabelScores`` and ``LabelSetScores`` say, or `mean_absolute_error` and
  /// `pearson`.
  public var metrics: OrderedDictionary<String, Double> { draws(Array(samples.indices)) }

  /// Those of ``metrics`` that are parts of the records.
  public var proportions: Set<String> { labels.problem == .multiLabel ? ["exact_match"] : ["accuracy"] }

  /// The ``metrics`` of any records, one as often as it is named; what can be done once is.
  public var draws: ([Int]) -> OrderedDictionary<String, Double> {
    let (losses, more) = (samples.map(\.loss), ownDraws)
    return { records in
      var metrics: OrderedDictionary = ["loss": mean(records.map { losses[$0] })]
      metrics.merge(more(records)) { own, _ in own }
      return metrics
    }
  }

  /// What measures some records, with intervals drawn for a group of that name: of parts of the records Wilson's, of all
  /// else by drawing records.
  public var measure:
    (_ records: [Int], _ group: String) -> (OrderedDictionary<String, Double>, OrderedDictionary<String, Interval>)
  {
    let (draws, proportions) = (draws, proportions)
    return { records, group in
      let found = draws(records)
      let drawn = Bootstrap().intervals(count: records.count, named: group) { numbers in
        Array(draws(numbers.map { records[$0] }).values)
      }
      var intervals: OrderedDictionary<String, Interval> = [:]
      for ((name, value), interval) in zip(found, drawn) {
        let count = Double(records.count)
        intervals[name] = proportions.contains(name) ? .proportion((value * count).rounded(), of: count) : interval
      }
      return (found, intervals)
    }
  }

  private var ownDraws: ([Int]) -> OrderedDictionary<String, Double> {
    switch labels.problem {
    case .singleLabel:
      let draws = LabelScores(
        truth: samples.map { Int($0.target[0]) }, probabilities: samples.map { LabelEvaluation.softmax($0.logits) },
        labels: labels.names.count
      ).draws
      return { records in
        var metrics = draws(records)
        metrics["micro_f1"] = nil  // the accuracy once more
        return metrics
      }
    case .multiLabel:
      return LabelSetScores(
        truth: samples.map { $0.target.map { $0 > 0.5 } },
        probabilities: samples.map { $0.logits.map { 1 / (1 + exp(-$0)) } }
      ).draws
    case .regression:
      let (samples, isOne) = (samples, labels.names.count == 1)
      return { records in
        let (said, wanted) = (records.flatMap { samples[$0].logits }, records.flatMap { samples[$0].target })
        var metrics: OrderedDictionary = ["mean_absolute_error": mean(zip(said, wanted).map { abs($0 - $1) })]
        if isOne { metrics["pearson"] = LabelEvaluation.correlation(said, wanted) }
        return metrics
      }
    }
  }

  /// What fairness is about; nothing where numbers are wanted.
  /// - Parameter positive: the labels to look at; empty: of two the second, of more all of them.
  public func outcomes(positive: [String]) throws -> [Outcome] {
    switch labels.problem {
    case .singleLabel:
      return try Outcome.ofLabels(
        truth: samples.map { Int($0.target[0]) }, predicted: samples.map { LabelEvaluation.largest($0.logits) },
        names: labels.names, positive: positive)
    case .multiLabel:
      return try Outcome.ofLabelSets(
        truth: samples.map { $0.target.map { $0 > 0.5 } }, predicted: samples.map { $0.logits.map { $0 > 0 } },
        names: labels.names, positive: positive)
    case .regression:
      guard positive.isEmpty else {
        throw Fault(
          .usage, "numbers are neither yes nor no", at: "--positive", "leave --positive out: --group-by stays")
      }
      return []
    }
  }

  /// The report's `samples`, in file order.
  public var sampleJSON: [JSON] {
    let names = labels.names
    return samples.map { sample -> JSON in
      var members: OrderedDictionary<String, JSON> = [
        "index": .integer(sample.index), "loss": .number(sample.loss),
        "logits": .array(sample.logits.map(JSON.number)),
      ]
      switch labels.problem {
      case .singleLabel:
        members["label"] = .string(names[Int(sample.target[0])])
        members["prediction"] = .string(names[LabelEvaluation.largest(sample.logits)])
      case .multiLabel:
        members["label"] = .array(names.indices.filter { sample.target[$0] > 0.5 }.map { .string(names[$0]) })
        members["prediction"] = .array(names.indices.filter { sample.logits[$0] > 0 }.map { .string(names[$0]) })
      case .regression: members["label"] = .array(sample.target.map(JSON.number))
      }
      return .object(members)
    }
  }

  /// The place of the largest number, the first of several.
  private static func largest(_ values: [Double]) -> Int {
    values.indices.max { values[$0] < values[$1] || values[$0] == values[$1] && $0 > $1 } ?? 0
  }

  private static func softmax(_ logits: [Double]) -> [Double] {
    let top = logits.max() ?? 0
    let powers = logits.map { exp($0 - top) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// Pearson's r, 0 where one side does not vary.
  static func correlation(_ a: [Double], _ b: [Double]) -> Double {
    let (meanA, meanB) = (mean(a), mean(b))
    var (ab, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      ab += (x - meanA) * (y - meanB)
      aa += (x - meanA) * (x - meanA)
      bb += (y - meanB) * (y - meanB)
    }
    return aa > 0 && bb > 0 ? ab / (aa * bb).squareRoot() : 0
  }
}

private func mean(_ values: [Double]) -> Double {
  values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
}
