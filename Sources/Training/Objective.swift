import Batching
import Models
import Tensors

/// Something to minimise: a loss SUM and the COUNT that it is divided by once, over the whole global batch.
public protocol Objective: Sendable {
  /// Its name in the metrics.
  var name: String { get }
  var weight: Double { get }
  /// - Parameter hidden: the states of `batch.targetRows`, [targets, D].
  /// - Returns: the sum [1] on the tape, and its value in double precision.
  func loss(_ batch: DeviceBatch, hidden: Tensor, _ model: MultimodalModel, _ context: Context) -> (Tensor, Double)
}

/// −log p of every supervised token.
public struct CrossEntropy: Objective {
  public let name = "cross_entropy"
  public let weight: Double

  public init(weight: Double = 1) { self.weight = weight }

  public func loss(
    _ batch: DeviceBatch, hidden: Tensor, _ model: MultimodalModel, _ context: Context
  ) -> (Tensor, Double) {
    let (sum, nll) = model.crossEntropy(hidden, targets: batch.targets, context)
    return (sum, context.backend.read(nll).reduce(0) { $0 + Double($1) })
  }
}
