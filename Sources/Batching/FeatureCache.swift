import Datasets
import Features
import Ground
import Media
import Models
import Tensors

/// Looks at pictures with a frozen vision encoder, at each only once: what it saw is kept.
public final class FeatureCache {
  public let store: FeatureStore
  private let eyes: MultimodalModel.Eyes
  private let backend: any Backend

  /// The libraries that the pixels and products come from.
  static let libraries = ["libjpeg", "libpng", "libz.", "libopenblas", "libm."]

  /// - Precondition: the model's parameters have their values.
  /// - Parameters: `memory`, bytes to keep there at most; `folder`, where files go, nil for none.
  /// - Returns: nil for a model whose features change or that has none.
  /// - Throws: `Fault(.inputOutput)` where the program cannot read its own code.
  public init?(
    _ model: MultimodalModel, _ images: ImageProcessor, memory: Int, folder: CacheFolder?, _ backend: any Backend
  ) throws {
    guard let eyes = model.eyes, eyes.hasConstantFeatures else { return nil }
    self.eyes = eyes
    self.backend = backend
    let parts = [
      try programDigest(libraries: FeatureCache.libraries), backend.arithmetic, images.settings,
      eyes.identity(backend),
    ]
    store = FeatureStore(
      space: Array(parts.joined(separator: "\n").utf8).withUnsafeBytes(Checksum.digits),
      count: eyes.rowsPerImage * eyes.featureWidth, memory: memory, folder: folder)
  }

  /// What is to be said when the disk takes no more; once.
  public func takeWarning() -> String? {
    store.takeTrouble().map { "warning: features of pictures are no longer written to disk: \($0)" }
  }

  /// The features of all pictures of a batch, [n·rowsPerImage, featureWidth], nil without pictures.
  func rows(of batch: Batch) -> (rows: Tensor?, lookups: FeatureLookups) {
    guard batch.images > 0 else { return (nil, FeatureLookups()) }
    var found: [[Float]?] = []
    var unseen: [(picture: Int, place: Int)] = []
    var first: [String: Int] = [:]  // where a picture that is not at hand comes first
    var again: [(picture: Int, first: Int)] = []
    var place = 0  // among the pictures that come with their pixels
    for (number, picture) in batch.pictures.enumerated() {
      switch picture {
      case .features(let known):
        precondition(known.count == store.count, "rows: \(known.count) numbers where a picture has \(store.count)")
        found.append(known)
      case .pixels(let digest):
        // It may have been seen since the loader asked.
        found.append(digest.flatMap(store.find))
        if found[number] == nil {
          if let digest, let earlier = first[digest] {
            again.append((number, earlier))
          } else {
            unseen.append((number, place))
            if let digest { first[digest] = number }
          }
        }
        place += 1
      case .skipped: preconditionFailure("rows: a picture that nothing is to be made of")
      }
    }
    for start in stride(from: 0, to: unseen.count, by: together) {
      let some = unseen[start..<min(start + together, unseen.count)]
      for (features, (picture, _)) in zip(look(at: batch, some.map(\.place)), some) {
        found[picture] = features
        if case .pixels(let digest?) = batch.pictures[picture] { store.keep(features, of: digest) }
      }
    }
    for (picture, earlier) in again { found[picture] = found[earlier] }
    let rows = backend.tensor(found.flatMap { $0 ?? [] }, [batch.images * eyes.rowsPerImage, eyes.featureWidth])
    return (rows, FeatureLookups(hits: batch.images - unseen.count, misses: unseen.count))
  }

  /// How many pictures are looked at together: products of a thousand rows are as fast as they get, and what the encoder
  /// holds meanwhile stays small.
  private var together: Int { max(1, 1024 / eyes.rowsPerImage) }

  /// The features of the pictures whose pixels have these places.
  private func look(at batch: Batch, _ places: [Int]) -> [[Float]] {
    let shape = [places.count] + batch.pixelShape.dropFirst()
    let size = shape.dropFirst().reduce(1, *)
    let pixels = places.flatMap { batch.pixels[$0 * size..<($0 + 1) * size] }
    let features = backend.read(eyes.features(backend.tensor(pixels, shape), Context(backend)))
    return places.indices.map { Array(features[$0 * store.count..<($0 + 1) * store.count]) }
  }
}

/// How many pictures had been seen before, and how many had not.
public struct FeatureLookups: Equatable, Sendable {
  public var hits = 0
  public var misses = 0

  public init(hits: Int = 0, misses: Int = 0) {
    self.hits = hits
    self.misses = misses
  }
}
