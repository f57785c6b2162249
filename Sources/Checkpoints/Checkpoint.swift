import Foundation
import Ground
import SafeTensors
import Tensors

/// A checkpoint that is to be read.
public struct Checkpoint: Sendable {
  public let folder: String
  public let header: CheckpointHeader
  /// In the order in which they were saved.
  public let tensors: [SavedTensor]
  public let shards: [ShardRecord]
  /// For each shard the tensors and boxes in it.
  private let contents: [[(tensor: Int, box: Box)]]

  /// Reads and checks the manifest, and nothing else.
  /// - Throws: `Fault(.missingInput)` when the folder has none, `.badConfiguration` when it has another format version,
  ///   `.badData` when it is damaged or contradicts itself.
  public init(folder: String) throws {
    let manifest = try Manifest(in: folder)
    self.folder = folder
    header = manifest.header
    tensors = manifest.tensors
    shards = manifest.shards
    var contents = shards.map { _ in [(tensor: Int, box: Box)]() }
    for (index, tensor) in tensors.enumerated() {
      for part in tensor.parts { contents[part.shard].append((index, part.box)) }
    }
    self.contents = contents
  }

  /// The same, of a folder whose name says which step it is.
  init(folder: String, step: Int) throws {
    try self.init(folder: folder)
    guard header.step == step else {
      throw Fault(.badData, "the manifest is of step \(header.step)", at: folder, "give the folder its own name back")
    }
  }

  public subscript(name: String) -> SavedTensor? { tensors.first { $0.description.name == name } }
}

// MARK: Values

extension Checkpoint {
  /// Hands over the wanted boxes, shard by shard; shards without any are not read, the others once.
  ///
  /// A box is handed over only after the checksum of its whole shard was right.
  /// Memory: one shard, decompressed.
  /// - Parameters:
  ///   - wanted: whether a box is to be read: a rank that holds a slice takes those that meet it.
  ///   - body: gets the values, row-major, possibly unaligned, valid during the call.
  /// - Throws: `Fault(.badData)` when a shard is damaged, `.missingInput` when it is not there; what `body` throws.
  public func forEachBox(
    where wanted: (SavedTensor, Box) throws -> Bool = { _, _ in true },
    _ body: (SavedTensor, Box, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let reader = ShardReader(folder: folder)
    for (record, boxes) in zip(shards, contents) {
      let boxes = try boxes.filter { try wanted(tensors[$0.tensor], $0.box) }
      if boxes.isEmpty { continue }
      let shard = try reader.read(record)
      for (tensor, box) in boxes {
        try body(tensors[tensor], box, try shard.bytes(of: tensors[tensor].description.part(box)))
      }
    }
  }

  /// Fills memory that the caller has, as a resume does.
  /// - Parameter destination: asked once for each tensor, in the order in which shards name them; nil leaves the tensor
  ///   out. The memory is as large as the tensor, and stays valid until this function returns.
  public func readAll(into destination: (SavedTensor) throws -> UnsafeMutableRawBufferPointer?) throws {
    var homes: [String: UnsafeMutableRawBufferPointer?] = [:]
    func home(_ tensor: SavedTensor) throws -> UnsafeMutableRawBufferPointer? {
      let description = tensor.description
      if let known = homes[description.name] { return known }
      let memory = try destination(tensor)
      precondition(
        memory.map { $0.count == description.byteCount } ?? true,
        "checkpoint: the memory for '\(description.name)' \(description.shape) has \(memory?.count ?? 0) bytes")
      homes[description.name] = .some(memory)
      return memory
    }
    try forEachBox(where: { tensor, _ in try home(tensor) != nil }) { tensor, box, bytes in
      guard let memory = try home(tensor) else { return }
      let description = tensor.description
      box.scatter(bytes, into: memory, shape: description.shape, elementSize: description.dtype.size)
    }
  }

  /// Hands over every tensor, each as soon as its last box is read.
  public func readAll(
    _ consume: (_ name: String, _ dtype: DType, _ shape: [Int], UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var unfinished: [String: (memory: LazyMemory, boxes: Int)] = [:]
    try forEachBox { tensor, box, bytes in
      let (name, dtype, shape) = (tensor.description.name, tensor.description.dtype, tensor.description.shape)
      if tensor.parts.count == 1 { return try consume(name, dtype, shape, bytes) }
      var (memory, boxes) =
        try unfinished.removeValue(forKey: name)
        ?? (LazyMemory(byteCount: tensor.description.byteCount!, at: folder), tensor.parts.count)
      box.scatter(bytes, into: memory.bytes, shape: shape, elementSize: dtype.size)
      boxes -= 1
      if boxes == 0 {
        try consume(name, dtype, shape, UnsafeRawBufferPointer(memory.bytes))
      } else {
        unfinished[name] = (memory, boxes)
      }
    }
  }

  /// The values of one tensor, row-major and little-endian.
  /// - Throws: `Fault(.badData)` with the nearest name when there is no such tensor; as ``forEachBox(where:_:)``.
  public func read(_ name: String) throws -> [UInt8] {
    guard let tensor = self[name] else {
      let names = tensors.map(\.description.name)
      throw Fault(
        .badData, "no tensor '\(name)' in the checkpoint\(didYouMean(name, among: names))", at: folder,
        "check that it belongs to this run")
    }
    let memory = try LazyMemory(byteCount: tensor.description.byteCount!, at: folder)
    try readAll { $0.description.name == name ? memory.bytes : nil }
    return Array(memory.bytes)
  }
}

// MARK: Checks

extension Checkpoint {
  /// What ``verify(progress:)`` found.
  public struct Report: Sendable {
    /// Every fault, in the order of the shards.
    public var faults: [Fault] = []
    public var shardCount = 0
    /// Bytes of all shards, compressed and decompressed, as the manifest has them.
    public var byteCount = 0
    public var uncompressedByteCount = 0
  }

  /// Reads every byte: size, checksum, decompression, header, and type and shape of every box.
  /// - Parameter progress: hears of the compressed bytes done, out of how many.
  public func verify(progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws -> Report {
    var report = Report(
      shardCount: shards.count, byteCount: shards.reduce(0) { $0 + $1.byteCount },
      uncompressedByteCount: shards.reduce(0) { $0 + $1.uncompressedByteCount })
    let reader = ShardReader(folder: folder)
    var done = 0
    for (record, boxes) in zip(shards, contents) {
      do {
        let shard = try reader.read(record)
        for (tensor, box) in boxes {
          do { _ = try shard.bytes(of: tensors[tensor].description.part(box)) } catch let fault as Fault {
            report.faults.append(fault)
          }
        }
      } catch let fault as Fault {
        report.faults.append(fault)
      }
      done += record.byteCount
      progress(done, report.byteCount)
    }
    return report
  }

  /// Reads every shard and compares size and checksum, without decompressing.
  /// - Throws: the first fault, as ``forEachBox(where:_:)``.
  public func checkFiles() throws {
    let reader = ShardReader(folder: folder)
    for record in shards { try reader.check(record) }
  }

  /// Whether every shard is there with the right size.
  var hasAllFiles: Bool { shards.allSatisfy { fileSize("\(folder)/\($0.file)") == $0.byteCount } }
}
