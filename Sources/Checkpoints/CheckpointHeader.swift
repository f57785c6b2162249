import Ground

/// What a checkpoint says beside its tensors: all that a resume needs and that is not a tensor.
public struct CheckpointHeader: Sendable, Equatable {
  /// Updates done so far.
  public var step: Int
  /// Where the data stream stands, in the words of whoever reads it.
  public var dataPosition: JSON
  public var seeds: JSON
  /// Tells runs apart that must not be continued with each other's state.
  public var configurationHash: String
  /// Whatever else belongs to the state: random states, versions, scaler, counts. Readers keep what they do not know.
  public var extras: JSON

  public init(step: Int, dataPosition: JSON, seeds: JSON, configurationHash: String, extras: JSON = [:]) {
    precondition(step >= 0, "checkpoint: step \(step)")
    self.step = step
    self.dataPosition = dataPosition
    self.seeds = seeds
    self.configurationHash = configurationHash
    self.extras = extras
  }
}

/// What became of a shard when it was written; rank 0 gathers these, as JSON, for the manifest.
public struct ShardRecord: Sendable, Equatable {
  public let index: Int
  /// Length of the file.
  public let byteCount: Int
  /// Length of the safetensors file that it decompresses to.
  public let uncompressedByteCount: Int
  /// XXH3-128 of the file, 32 hexadecimal digits.
  public let checksum: String

  /// The file's name; it tells nothing of ranks.
  public var file: String { ShardRecord.file(index) }

  static func file(_ index: Int) -> String { "shard-\(padded(index, to: 5)).safetensors.zst" }

  init(index: Int, byteCount: Int, uncompressedByteCount: Int, checksum: String) {
    self.index = index
    self.byteCount = byteCount
    self.uncompressedByteCount = uncompressedByteCount
    self.checksum = checksum
  }
}

extension ShardRecord {
  public var json: JSON {
    [
      "file": .string(file), "bytes": .integer(byteCount),
      "uncompressed_bytes": .integer(uncompressedByteCount), "xxh3_128": .string(checksum),
      "index": .integer(index),
    ]
  }

  /// - Throws: `Fault(.badData)` when a member is missing or impossible; `place` names the source in it.
  public init(_ json: JSON, at place: String) throws {
    guard let index = json["index"]?.integer, index >= 0,
      let bytes = json["bytes"]?.integer, bytes >= 0,
      let uncompressed = json["uncompressed_bytes"]?.integer, uncompressed >= 8,
      let checksum = json["xxh3_128"]?.string, checksum.utf8.count == 32,
      json["file"]?.string == ShardRecord.file(index)
    else { throw Fault(.badData, "a shard is not described as it should be", at: place, otherCheckpoint) }
    self.init(index: index, byteCount: bytes, uncompressedByteCount: uncompressed, checksum: checksum)
  }
}

/// What a user can do about a damaged checkpoint.
let otherCheckpoint = "resume from another checkpoint"

/// A number with leading zeros.
func padded(_ number: Int, to digits: Int) -> String {
  let text = String(number)
  return String(repeating: "0", count: max(digits - text.count, 0)) + text
}
