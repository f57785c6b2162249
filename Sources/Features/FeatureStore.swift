import Ground

/// What a frozen vision encoder made of pictures, kept in memory and, where it has a folder, on disk.
///
/// A picture goes by the digest of its file's bytes. Whatever cannot be read back whole is simply not there.
public final class FeatureStore: Sendable {
  /// Names everything else that decides the features: encoder, weights, processor, precision, program.
  public let space: String
  /// How many numbers the features of a picture are.
  public let count: Int
  private let memory: FeatureMemory
  private let files: FeatureFiles?

  /// - Parameters: `memory`, the most bytes to keep there; `folder`, where the files go, nil for none.
  public init(space: String, count: Int, memory: Int, folder: CacheFolder?) {
    self.space = space
    self.count = count
    self.memory = FeatureMemory(limit: memory)
    files = folder.map { FeatureFiles(space: space, count: count, folder: $0) }
  }

  /// The features of a picture, if they are at hand.
  public func find(_ picture: String) -> [Float]? {
    if let found = memory.find(picture) { return found }
    guard let found = files?.read(picture) else { return nil }
    memory.keep(found, of: picture)
    return found
  }

  /// Keeps the features of a picture; a thread of its own writes the file.
  public func keep(_ features: [Float], of picture: String) {
    precondition(features.count == count, "keep: \(features.count) numbers where a picture has \(count)")
    memory.keep(features, of: picture)
    files?.write(features, of: picture)
  }

  /// Returns when everything that is to be written is.
  public func finish() { files?.finish() }

  /// Why features are no longer written to disk, told once.
  public func takeTrouble() -> String? { files?.takeTrouble() }
}
