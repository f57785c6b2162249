import Compression
import Foundation
import Ground
import SafeTensors
import Tensors

/// A tensor of the state in this rank's memory, row-major; the bytes must not change until they are written.
public struct StateTensor: @unchecked Sendable {
  public let name: String
  public let dtype: DType
  public let shape: [Int]
  public let bytes: UnsafeRawBufferPointer

  public init(name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
    precondition(bytes.count == description.byteCount, "checkpoint: '\(name)' \(shape) has \(bytes.count) bytes")
  }

  /// What the plan is made from.
  public var description: TensorDescription { TensorDescription(name: name, dtype: dtype, shape: shape) }
}

/// Writes one checkpoint, all or nothing, by any number of ranks that share a file system.
///
/// 1. Rank 0: ``begin()``; then a barrier.
/// 2. Every rank: ``writeShard(_:from:)-(_,[StateTensor])`` for its ``CheckpointPlan/shards(ofRank:of:)``;
///    the records are gathered on rank 0.
/// 3. Rank 0: ``commit(records:header:)``.
///
/// Until the last rename everything lies in `step-XXXXXXXX.writing`, which no reader takes for a checkpoint, so
/// that a crash at any moment leaves the earlier checkpoints as they were.
public struct CheckpointWriter: Sendable {
  public let step: Int
  public let plan: CheckpointPlan
  /// Where the checkpoint will be: `FOLDER/step-XXXXXXXX`.
  public let destination: String
  private let working: String
  private let level: Int32

  /// - Parameters:
  ///   - folder: the folder of all checkpoints.
  ///   - level: of zstd; higher ones hardly shrink training state.
  public init(folder: String, step: Int, plan: CheckpointPlan, level: Int32 = 1) {
    self.step = step
    self.plan = plan
    self.level = level
    destination = "\(folder)/\(CheckpointFolder.name(step))"
    working = destination + CheckpointFolder.Stage.writing.rawValue
  }

  /// Makes the working folder, empty even if an earlier attempt at this step left one.
  /// - Throws: `Fault(.cannotWrite)`.
  public func begin() throws {
    try CheckpointFolder.remove(working)
    try makeFolder(working)
    syncFolder(of: working)
  }

  /// Compresses and writes one shard, durably; distinct shards can be written at the same time.
  /// - Parameter source: gives the values of a piece, row-major; they are used until it is called again. A rank that
  ///   holds a slice only can gather the piece in it.
  /// - Throws: `Fault(.cannotWrite)`, and what `source` throws; then the shard is not there.
  public func writeShard(
    _ index: Int, from source: (CheckpointPlan.Piece) throws -> UnsafeRawBufferPointer
  ) throws -> ShardRecord {
    let shard = plan.shards[index]
    let path = "\(working)/\(ShardRecord.file(index))"
    func failure() -> Fault { cannotWrite(path) }

    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure() }
    let checksum = Checksum()
    var written = 0
    do {
      let compressor = ZstdCompressor(byteCount: shard.byteCount, level: level) { bytes in
        checksum.add(bytes)
        written += bytes.count
        try writeAll(bytes, to: descriptor, path: path)
      }
      try shard.header.withUnsafeBytes(compressor.add)
      for (piece, entry) in zip(shard.pieces, shard.entries) {
        let bytes = try source(piece)
        precondition(bytes.count == entry.byteCount, "checkpoint: '\(entry.name)' got \(bytes.count) bytes")
        try compressor.add(bytes)
      }
      try compressor.finish()
      guard fsync(descriptor) == 0 else { throw failure() }
    } catch {
      close(descriptor)
      unlink(path)
      throw error
    }
    guard close(descriptor) == 0 else { throw failure() }
    return ShardRecord(
      index: index, byteCount: written, uncompressedByteCount: shard.byteCount, checksum: checksum.digits)
  }

  /// The same from whole tensors, which stand in the order of the plan.
  public func writeShard(_ index: Int, from tensors: [StateTensor]) throws -> ShardRecord {
    try writeShard(index) { piece in
      let tensor = tensors[piece.tensor]
      precondition(tensor.description == plan.tensors[piece.tensor], "checkpoint: '\(tensor.name)' is not in its place")
      guard let start = piece.box.contiguousStart(in: tensor.shape) else {
        preconditionFailure("checkpoint: a plan cuts tensors into contiguous boxes")
      }
      let range = start * tensor.dtype.size..<(start + piece.box.elementCount) * tensor.dtype.size
      return UnsafeRawBufferPointer(rebasing: tensor.bytes[range])
    }
  }

  /// Writes the manifest and gives the checkpoint its name; after this it exists, and survives a loss of power.
  ///
  /// A checkpoint of the same step that was there before is replaced; at every moment one of the two is in place.
  /// - Throws: `Fault(.cannotWrite)`; `.internalError` when the records are not those of this plan's shards.
  public func commit(records: [ShardRecord], header: CheckpointHeader) throws {
    precondition(header.step == step, "checkpoint: header of step \(header.step) for step \(step)")
    let records = records.sorted { $0.index < $1.index }
    guard
      records.map(\.index).elementsEqual(plan.shards.indices),
      zip(records, plan.shards).allSatisfy({ $0.uncompressedByteCount == $1.byteCount })
    else {
      throw Fault(
        .internalError, "the ranks' shards \(records.map(\.index)) are not the \(plan.shards.count) of the plan",
        at: destination, "all ranks must run the same program and run file")
    }
    for record in records {
      let path = "\(working)/\(record.file)"
      guard fileSize(path) == record.byteCount else {
        throw Fault(
          .cannotWrite, "a shard is missing or incomplete as rank 0 sees it", at: path,
          "put the output on a file system that all ranks share")
      }
    }
    try writeDurably(Manifest(header: header, plan: plan, shards: records).text, to: "\(working)/\(Manifest.file)")
    try CheckpointFolder.put(working, inPlaceOf: destination)
  }

  /// Removes what was written so far, to free the space after a failure.
  public func abandon() {
    try? CheckpointFolder.remove(working)
  }
}

extension CheckpointPlan {
  /// The shards that fall to a rank when they are dealt out in turn.
  public func shards(ofRank rank: Int, of ranks: Int) -> StrideTo<Int> {
    precondition(0..<ranks ~= rank, "rank \(rank) of \(ranks)")
    return stride(from: rank, to: shards.count, by: ranks)
  }
}

/// Length of a regular file, or nil.
func fileSize(_ path: String) -> Int? {
  var status = stat()
  guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
  return Int(status.st_size)
}
