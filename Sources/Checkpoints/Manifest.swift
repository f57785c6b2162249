import Foundation
import Ground
import OrderedCollections
import SafeTensors
import Tensors

/// A tensor as a checkpoint holds it.
public struct SavedTensor: Sendable, Equatable {
  /// A block of the tensor and the shard that holds it.
  public struct Part: Sendable, Equatable {
    public let box: Box
    public let shard: Int
  }

  public let description: TensorDescription
  /// Blocks that cover the tensor once, each within one shard.
  public let parts: [Part]
}

/// `manifest.json`: what makes a folder a checkpoint.
///
/// An object of JSON with a checksum of its own: the last member, on a line of fixed length, is the XXH3-128 of
/// every byte before that line; this holds in every version. Members that a reader does not know are passed over; what
/// it must know changes the version.
struct Manifest: Equatable {
  static let format = "mmdist checkpoint"
  static let version = 1
  static let file = "manifest.json"
  /// A manifest larger than this is refused unread; a million boxes come to some 100 MB.
  static let largest = 1 << 28

  let header: CheckpointHeader
  let tensors: [SavedTensor]
  let shards: [ShardRecord]
}

// MARK: Writing

extension Manifest {
  init(header: CheckpointHeader, plan: CheckpointPlan, shards: [ShardRecord]) {
    var parts = plan.tensors.map { _ in [SavedTensor.Part]() }
    for (index, shard) in plan.shards.enumerated() {
      for piece in shard.pieces { parts[piece.tensor].append(.init(box: piece.box, shard: index)) }
    }
    self.header = header
    tensors = zip(plan.tensors, parts).map { SavedTensor(description: $0, parts: $1) }
    self.shards = shards
  }

  /// The file's text: one line a tensor and a shard, so that people and `diff` can read it.
  var text: String {
    let members: [(String, JSON)] = [
      ("format", .string(Manifest.format)), ("version", .integer(Manifest.version)),
      ("step", .integer(header.step)), ("data_position", header.dataPosition), ("seeds", header.seeds),
      ("configuration_hash", .string(header.configurationHash)), ("extras", header.extras),
    ]
    let tensorLines = tensors.map { "    \(JSON.string($0.description.name)): \($0.json)" }
    let shardLines = shards.map { "    \($0.json)" }
    let body =
      "{\n" + members.map { "  \"\($0)\": \($1),\n" }.joined()
      + "  \"tensors\": {\n\(tensorLines.joined(separator: ",\n"))\n  },\n"
      + "  \"shards\": [\n\(shardLines.joined(separator: ",\n"))\n  ],\n"
    return body + Manifest.seal(over: Array(body.utf8))
  }

  private static func seal(over body: some Sequence<UInt8>) -> String {
    Array(body).withUnsafeBytes { "  \"checksum\": \"\(Checksum.digits(of: $0))\"\n}\n" }
  }

  /// Whether the last line is right for what stands before it.
  private static func isSealed(_ bytes: Data) -> Bool {
    let length = seal(over: []).utf8.count
    return bytes.count > length && bytes.suffix(length).elementsEqual(seal(over: bytes.dropLast(length)).utf8)
  }
}

extension SavedTensor {
  fileprivate var json: JSON {
    [
      "dtype": .string(description.dtype.rawValue), "shape": JSON(description.shape),
      "boxes": .array(
        parts.map {
          ["offset": JSON($0.box.offset), "size": JSON($0.box.size), "shard": .integer($0.shard)]
        }),
    ]
  }
}

extension JSON {
  fileprivate init(_ numbers: [Int]) { self = .array(numbers.map { .integer($0) }) }

  /// A list of integers that are not negative.
  fileprivate var naturals: [Int]? {
    guard let values = array?.map(\.integer), values.allSatisfy({ $0.map { $0 >= 0 } ?? false }) else { return nil }
    return values.compactMap(\.self)
  }
}

// MARK: Reading

extension Manifest {
  /// Reads and checks a manifest: its checksum, its version, that the boxes of each tensor cover it once, and that
  /// no shard claims to be larger than its boxes allow.
  /// - Throws: `Fault(.missingInput)` when there is none, `.inputOutput` when it cannot be read, `.badConfiguration` for
  ///   another version, else `.badData`.
  init(in folder: String) throws {
    let path = "\(folder)/\(Manifest.file)"
    func fault(_ what: String) -> Fault { Fault(.badData, what, at: path, otherCheckpoint) }

    var status = stat()
    guard stat(path, &status) == 0 || errno == ENOENT || errno == ENOTDIR else {
      throw Fault(.inputOutput, "cannot read: \(systemReason())", at: path, "check the permissions")
    }
    guard let size = fileSize(path) else {
      throw Fault(.missingInput, "not a checkpoint: it has no \(Manifest.file)", at: folder, otherCheckpoint)
    }
    guard size <= Manifest.largest else { throw fault("a manifest of \(size) bytes is too large") }
    let bytes = try readFile(path)
    guard Manifest.isSealed(bytes) else { throw fault("the manifest is damaged: its checksum does not match") }
    let json = try bytes.withUnsafeBytes { try JSON(parsing: $0, at: path) }
    guard json["format"]?.string == Manifest.format, let version = json["version"]?.integer else {
      throw fault("the manifest is not of a checkpoint")
    }
    guard version == Manifest.version else {
      throw Fault(
        .badConfiguration,
        "the checkpoint has format version \(version); this program reads version \(Manifest.version)",
        at: path, "use the program that wrote it, or a newer one")
    }

    guard let step = json["step"]?.integer, step >= 0, let position = json["data_position"],
      let seeds = json["seeds"], let hash = json["configuration_hash"]?.string, let extras = json["extras"],
      let listed = json["tensors"]?.object, let records = json["shards"]?.array
    else { throw fault("the manifest lacks something that version \(version) has") }
    header = CheckpointHeader(
      step: step, dataPosition: position, seeds: seeds, configurationHash: hash, extras: extras)
    shards = try records.map { try ShardRecord($0, at: path) }
    guard shards.map(\.index).elementsEqual(0..<shards.count) else { throw fault("the shards are out of order") }
    tensors = try listed.map { name, entry in
      guard let tensor = SavedTensor(name, entry, shardCount: records.count) else {
        throw fault("tensor '\(name.prefix(4096))' is not described as it should be")
      }
      guard let covers = Box.cover(tensor.parts.map(\.box), tensor.description.shape) else {
        throw fault("tensor '\(name)' is cut into too many boxes")
      }
      guard covers else { throw fault("the boxes of tensor '\(name)' do not cover it once") }
      return tensor
    }
    try checkShardSizes(fault)
  }

  /// A shard is as large as its boxes and a header: more would be a decompression bomb.
  private func checkShardSizes(_ fault: (String) -> Fault) throws {
    var room = shards.map { $0.uncompressedByteCount - 8 }
    for tensor in tensors {
      for part in tensor.parts {
        room[part.shard] -= min(part.box.elementCount * tensor.description.dtype.size, room[part.shard] + 1)
        guard room[part.shard] >= 0 else { throw fault("\(shards[part.shard].file) is smaller than its boxes") }
      }
    }
    for (shard, rest) in zip(shards, room) where rest > SafeTensorsFile.largestHeader {
      throw fault("\(shard.file) claims to be larger than its boxes")
    }
  }
}

extension SavedTensor {
  fileprivate init?(_ name: String, _ json: JSON, shardCount: Int) {
    guard name.utf8.count <= 4096, let dtype = (json["dtype"]?.string).flatMap(DType.init),
      let shape = json["shape"]?.naturals, shape.count <= 64, let boxes = json["boxes"]?.array
    else { return nil }
    description = TensorDescription(name: name, dtype: dtype, shape: shape)
    guard description.byteCount != nil else { return nil }
    var parts: [Part] = []
    for box in boxes {
      guard let offset = box["offset"]?.naturals, let size = box["size"]?.naturals, offset.count == size.count,
        let shard = box["shard"]?.integer, 0..<shardCount ~= shard, Box(offset: offset, size: size).fits(in: shape)
      else { return nil }
      parts.append(Part(box: Box(offset: offset, size: size), shard: shard))
    }
    self.parts = parts
  }
}
