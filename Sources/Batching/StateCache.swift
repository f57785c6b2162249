import Datasets
import Features
import Ground
import Models
import Tensors

/// What a frozen model makes of texts, for a head on its features: each text is computed once and kept.
public final class StateCache {
  public let store: FeatureStore
  private let model: MultimodalModel
  private let backend: any Backend

  /// - Precondition: the model's parameters have their values.
  /// - Parameters: `memory`, bytes to keep there at most; `folder`, where files go, nil for none.
  /// - Returns: nil for a model whose head does not stand on frozen features.
  /// - Throws: `Fault(.inputOutput)` where the program cannot read its own code.
  public init?(_ model: MultimodalModel, memory: Int, folder: CacheFolder?, _ backend: any Backend) throws {
    guard let reading = model.classifier?.frozen else { return nil }
    (self.model, self.backend) = (model, backend)
    let parts = [
      try programDigest(libraries: ["libopenblas", "libm."]), backend.arithmetic, "\(reading)",
      model.frozenIdentity(backend),
    ]
    store = FeatureStore(
      space: Array(parts.joined(separator: "\n").utf8).withUnsafeBytes(Checksum.digits), count: model.language.width,
      memory: memory, folder: folder)
  }

  /// What is to be said when the disk takes no more; once.
  public func takeWarning() -> String? {
    store.takeTrouble().map { "warning: features of texts are no longer written to disk: \($0)" }
  }

  /// The features [S, D] of the texts of a batch.
  public func rows(of batch: Batch) -> (rows: Tensor, lookups: FeatureLookups) {
    var (all, lookups): ([Float], FeatureLookups) = ([], FeatureLookups())
    for number in batch.indices.indices {
      let range = Int(batch.offsets[number])..<Int(batch.offsets[number + 1])
      let (ids, types) = (batch.ids[range], batch.types.isEmpty ? [] : batch.types[range])
      let digest = (Array(ids) + [-1] + Array(types)).withUnsafeBytes(Checksum.digits)
      if let known = store.find(digest) {
        all += known
        lookups.hits += 1
      } else {
        let own = TokenBatch(
          ids: backend.tensor(Array(ids)), positions: backend.tensor(ids.indices.map { Int32($0 - range.lowerBound) }),
          positionLimit: range.count, sequences: Sequences(lengths: [range.count]),
          types: types.isEmpty ? nil : backend.tensor(Array(types)))
        let seen = backend.read(model.hidden(own, imageRows: nil, pictures: nil, Context(backend)))
        store.keep(seen, of: digest)
        all += seen
        lookups.misses += 1
      }
    }
    return (backend.tensor(all, [batch.indices.count, store.count]), lookups)
  }
}
