import Foundation
import Ground
import Parallel
import SafeTensors
import Tensors

/// Embeddings on their way to disk: each rank keeps those of its share in a file of its own, and rank 0 joins them in the
/// order of the records, so that the bytes do not depend on the number of ranks.
///
/// `embeddings.safetensors` holds `embeddings` [rows, D], `offsets` [items + 1], where the rows of each item begin, and
/// `records` [items], which record each item is of; `embeddings.npy`, `offsets.npy` and `records.npy` hold the same.
public final class EmbeddingFiles {
  private let folder: String
  private let width: Int
  private let communicator: any Communicator
  private let descriptor: Int32
  private let path: String
  /// For each item of this rank how many rows it has, and its record.
  private var items: [(rows: Int, record: Int)] = []

  private static let chunk = 4 << 20

  public init(_ folder: String, width: Int, _ communicator: any Communicator) throws {
    (self.folder, self.width, self.communicator) = (folder, width, communicator)
    try makeFolder(folder)
    path = "\(folder)/.rows-of-rank-\(communicator.rank)"
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw cannotWrite(path)
    }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// Adds the rows [n, D] of one item.
  public func append(_ rows: Tensor, record: Int, _ backend: any Backend) throws {
    precondition(rows.width == width, "append: \(rows.shape) to rows of \(width)")
    try backend.withBytes(of: rows) { try writeAll($0, to: descriptor, path: path) }
    items.append((rows.rows, record))
  }

  /// Joins what the ranks have; all of them call it.
  /// - Returns: how many items and rows there are in all.
  public func finish(metadata: [String: String]) throws -> (items: Int, rows: Int) {
    try communicator.agreeOnSuccess {
      // Another host sees the rows once they have left this one.
      guard fsync(descriptor) == 0 else {
        throw cannotWrite(path)
      }
    }
    let mine = items.flatMap { [Int64($0.rows), Int64($0.record)] }
    let gathered = try communicator.allGather(mine)
    let all = gathered.flatMap { $0 }
    let counts = stride(from: 0, to: all.count, by: 2).map { all[$0] }
    let records = stride(from: 1, to: all.count, by: 2).map { all[$0] }
    let offsets = counts.reduce(into: [Int64(0)]) { $0.append($0[$0.count - 1] + $1) }
    let rows = Int(offsets[offsets.count - 1])
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      // Of each rank.
      let lengths = gathered.map { own in
        stride(from: 0, to: own.count, by: 2).reduce(0) { $0 + Int(own[$1]) } * width * MemoryLayout<Float>.size
      }
      try write(rows, lengths, offsets, records, metadata)
    }
    return (counts.count, rows)
  }

  private func write(
    _ rows: Int, _ lengths: [Int], _ offsets: [Int64], _ records: [Int64], _ metadata: [String: String]
  ) throws {
    let tensors = [
      TensorDescription(name: "offsets", dtype: .int64, shape: [offsets.count]),
      TensorDescription(name: "records", dtype: .int64, shape: [records.count]),
      TensorDescription(name: "embeddings", dtype: .float32, shape: [rows, width]),
    ]
    try writeFile("embeddings.safetensors") { output in
      try output(safeTensorsHeader(tensors, metadata: metadata))
      for numbers in [offsets, records] { try output(numbers.withUnsafeBytes(Array.init)) }
      try copyRows(lengths, to: output)
    }
    try writeFile("embeddings.npy") { output in
      try output(numpyHeader("<f4", [rows, width]))
      try copyRows(lengths, to: output)
    }
    for (name, numbers) in [("offsets.npy", offsets), ("records.npy", records)] {
      try writeFile(name) { output in
        try output(numpyHeader("<i8", [numbers.count]))
        try output(numbers.withUnsafeBytes(Array.init))
      }
    }
  }

  /// Writes a file whole: beside its place first, which it then takes.
  private func writeFile(_ name: String, _ body: ((_ bytes: [UInt8]) throws -> Void) throws -> Void) throws {
    let (file, temporary) = ("\(folder)/\(name)", "\(folder)/\(name).writing")
    func failed() -> Fault { cannotWrite(file) }
    let target = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard target >= 0 else { throw failed() }
    do {
      defer { close(target) }
      try body { bytes in try bytes.withUnsafeBytes { try writeAll($0, to: target, path: file) } }
      guard fsync(target) == 0 else { throw failed() }
    } catch {
      unlink(temporary)
      throw error
    }
    guard rename(temporary, file) == 0 else { throw failed() }
    syncFolder(of: file)
  }

  /// The rows of all ranks, one after another.
  /// - Parameter lengths: how many bytes each rank has written.
  private func copyRows(_ lengths: [Int], to output: (_ bytes: [UInt8]) throws -> Void) throws {
    for (rank, length) in lengths.enumerated() {
      let part = "\(folder)/.rows-of-rank-\(rank)"
      guard let file = FileHandle(forReadingAtPath: part) else {
        throw Fault(
          .inputOutput, "the rows of rank \(rank) cannot be read", at: part,
          "use an output folder that all ranks can reach")
      }
      defer { try? file.close() }
      var found = 0
      while let bytes = try file.read(upToCount: EmbeddingFiles.chunk), !bytes.isEmpty {
        found += bytes.count
        try output(Array(bytes))
      }
      guard found == length else {
        throw Fault(
          .inputOutput, "the rows of rank \(rank) are \(found) bytes here, and it has written \(length)", at: part,
          "use an output folder that all ranks share, and let nothing else write there")
      }
    }
  }
}

/// The beginning of a `.npy` file, version 1.0: magic, length, and a Python dictionary, padded to a multiple of 64 bytes.
func numpyHeader(_ type: String, _ shape: [Int]) -> [UInt8] {
  let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
  var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(extents)), }"
  while (10 + text.utf8.count + 1) % 64 != 0 { text += " " }
  text += "\n"
  let count = text.utf8.count
  return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(count & 0xFF), UInt8(count >> 8)] + Array(text.utf8)
}
