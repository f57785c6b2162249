import Datasets
import Models
import Tensors

/// A batch on the device, as models take it.
public struct DeviceBatch {
  public let tokens: TokenBatch
  public let imageRows: Tensor?
  public let pictures: MultimodalModel.Pictures?
  /// How many of the pictures had been seen before; nil where features are not kept.
  public let lookups: FeatureLookups?
  /// Rows whose next token is trained, and those tokens.
  public let targetRows: Tensor
  public let targets: Tensor
  /// How much the loss of each counts; nil where all count as 1.
  public let targetWeights: Tensor?
  /// What is to be said of the texts, in place of next tokens.
  public let labels: Batch.Labels?

  /// - Parameters:
  ///   - features: what looks at pictures whose features are not at hand, and keeps what it sees; nil leaves that to the
  ///     model.
  ///   - withPictures: false where features of whole records take the place of tokens and pictures.
  public init(
    _ batch: Batch, _ backend: any Backend, features: FeatureCache? = nil, withPictures: Bool = true
  ) {
    let offsets = batch.offsets.map(Int.init)
    tokens = TokenBatch(
      ids: backend.tensor(batch.ids), positions: backend.tensor(batch.positions),
      positionLimit: Int(batch.positions.max() ?? 0) + 1,
      sequences: Sequences(lengths: zip(offsets, offsets.dropFirst()).map { $1 - $0 }),
      types: batch.types.isEmpty ? nil : backend.tensor(batch.types))
    labels = batch.labels
    imageRows = batch.images > 0 ? backend.tensor(batch.imageRows) : nil
    if !withPictures {
      (pictures, lookups) = (nil, nil)
    } else if let features {
      let (rows, counts) = features.rows(of: batch)
      pictures = rows.map { .features($0) }
      lookups = counts
    } else {
      precondition(batch.images == batch.pixelShape[0], "DeviceBatch: features without the cache that they are from")
      pictures = batch.images > 0 ? .pixels(backend.tensor(batch.pixels, batch.pixelShape)) : nil
      lookups = nil
    }
    targetRows = backend.tensor(batch.targetRows)
    targets = backend.tensor(batch.targetIDs)
    targetWeights =
      batch.targetWeights.isEmpty ? nil : backend.tensor(batch.targetWeights, [batch.targetWeights.count])
  }
}
