import Ground

/// What is kept to be used again, beside the run.
public struct CacheConfiguration: Equatable, Sendable {
  public enum Features: String, CaseIterable, Sendable { case disk, memory, off }

  public var features = Features.disk
  public var memoryGib = 1.0
  public var folder: String?
  public var limitGib = Double(CacheFolder.standardLimit) / gib

  public init() {}

  /// The most bytes in the memory of a rank.
  public var memoryLimit: Int { Int(memoryGib * CacheConfiguration.gib) }
  /// The most bytes in the folder.
  public var folderLimit: Int { Int(limitGib * CacheConfiguration.gib) }

  private static let gib = Double(1 << 30)
}

extension CacheConfiguration.Features: RunFileChoice {}

extension CacheConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("features", \.features, "where features of a frozen vision encoder are kept"),
    Key("memory_gib", \.memoryGib, "GiB of memory that a rank keeps features in, at most"),
    Key("folder", path: \.folder, "for files that can be made again; null: $MMDIST_CACHE or ~/.cache/mmdist"),
    Key("limit_gib", \.limitGib, "GiB that the files of the folder may take; those used longest ago go"),
  ]

  func validate(at key: String) throws {
    try require(
      (0...1e6).contains(memoryGib), key + "memory_gib", "is \(memoryGib)", "give a number from 0 to 1000000")
    try require((0...1e6).contains(limitGib), key + "limit_gib", "is \(limitGib)", "give a number from 0 to 1000000")
  }
}
