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
