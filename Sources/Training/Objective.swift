import Datasets
import Models
import Tensors

/// A batch on the device, as models take it.
public struct DeviceBatch {
  public let tokens: TokenBatch
  public let imageRows: Tensor?
  public let pixels: Tensor?
  /// Rows whose next token is trained, and those tokens.
  public let targetRows: Tensor
  public let targets: Tensor

  public init(_ batch: Batch, _ backend: any Backend) {
    let offsets = batch.offsets.map(Int.init)
    tokens = TokenBatch(
      ids: backend.tensor(batch.ids), positions: backend.tensor(batch.positions),
      positionLimit: Int(batch.positions.max() ?? 0) + 1,
      sequences: Sequences(lengths: zip(offsets, offsets.dropFirst()).map { $1 - $0 }))
    let hasPictures = batch.images > 0
    imageRows = hasPictures ? backend.tensor(batch.imageRows) : nil
    pixels = hasPictures ? backend.tensor(batch.pixels, batch.pixelShape) : nil
    targetRows = backend.tensor(batch.targetRows)
    targets = backend.tensor(batch.targetIDs)
  }
}

/// Something to minimise: a loss SUM and the COUNT that it is divided by once, over the whole global batch.
public protocol Objective: Sendable {
  /// Its name in the metrics.
  var name: String { get }
  var weight: Double { get }
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
    let rows = context.gatherRows(hidden, batch.targetRows)
    let (sum, nll) = model.crossEntropy(rows, targets: batch.targets, context)
    return (sum, context.backend.read(nll).reduce(0) { $0 + Double($1) })
  }
}
