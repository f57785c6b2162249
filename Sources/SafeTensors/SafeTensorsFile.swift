import Foundation
import Ground
import OrderedCollections
import Tensors

/// A safetensors file, memory-mapped and read-only; it stays mapped as long as this object lives.
///
/// Opening reads the header only and checks all of it: every range lies in the file and has the length that
/// shape × dtype demands, and together the ranges cover the data section once. The values are paged in when
/// they are first touched. The file must not be shortened meanwhile: touching a page that is gone ends the process.
///
/// Format: 8 bytes little-endian length N, N bytes of JSON, data section
/// (https://github.com/huggingface/safetensors#format).
public final class SafeTensorsFile: @unchecked Sendable {
  public struct Entry: Sendable, Equatable {
    public let dtype: DType
    public let shape: [Int]
    /// Where the values lie in the data section, in bytes. The beginning need not be a multiple of the element size.
    public let range: Range<Int>
  }

  /// Headers above this are refused, as in the reference reader.
  public static let largestHeader = 100_000_000

  public let path: String
  /// The tensors in the order of the header.
  public let entries: OrderedDictionary<String, Entry>
  /// The free text under `__metadata__`.
  public let metadata: [String: String]
  /// What the system told the file by when it was mapped.
  public let identity: FileIdentity

  private let mapping: UnsafeRawBufferPointer
  private let data: UnsafeRawBufferPointer

  /// - Throws: `Fault(.missingInput)` when there is no such file, `.inputOutput` when it cannot be mapped,
  ///   `.badData` when it is not a whole and truthful safetensors file.
  public init(_ path: String) throws {
    self.path = path
    let (mapping, identity) = try mapFile(path)
    self.identity = identity
    do {
      let content = try SafeTensorsContent(mapping, path: path)
      entries = content.entries
      metadata = content.metadata
      data = content.data
      self.mapping = mapping
    } catch {
      FileMapping.unmap(mapping)
      throw error
    }
  }

  deinit { FileMapping.unmap(mapping) }

  /// The stored bytes of a tensor, row-major and little-endian, valid as long as this object lives.
  ///
  /// They may be unaligned: use `loadUnaligned` or copy them.
  /// - Throws: `Fault(.badData)` when the file has no such tensor.
  public func bytes(of name: String) throws -> UnsafeRawBufferPointer {
    guard let entry = entries[name] else {
      throw Fault(
        .badData, "no tensor '\(name)' in the file\(didYouMean(name, among: entries.keys))", at: path,
        "check that the weights belong to this model")
    }
    return UnsafeRawBufferPointer(rebasing: data[entry.range])
  }

  /// Lets the system take back the memory of a tensor that has been copied; reading it again reads the file again.
  public func release(_ name: String) {
    guard let entry = entries[name], let base = data.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (Int(bitPattern: base) + entry.range.lowerBound + page - 1) / page * page
    let end = (Int(bitPattern: base) + entry.range.upperBound) / page * page
    if start < end { madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_DONTNEED) }
  }
}

/// A safetensors file that lies in memory, taken apart and checked.
public struct SafeTensorsContent {
  public let entries: OrderedDictionary<String, SafeTensorsFile.Entry>
  public let metadata: [String: String]
  /// What follows the header; it belongs to the memory that was given.
  public let data: UnsafeRawBufferPointer

  /// - Throws: `Fault(.badData)` that names `path`.
  public init(_ file: UnsafeRawBufferPointer, path: String) throws {
    let again = "the file is damaged or incomplete: copy or download it again"
    if file.starts(with: "version https://git-lfs".utf8) {
      throw Fault(.badData, "this is a Git LFS pointer, not the weights", at: path, "run `git lfs pull`")
    }
    guard file.count >= 8 else {
      throw Fault(.badData, "\(file.count) bytes are too few for a safetensors file", at: path, again)
    }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(SafeTensorsFile.largestHeader) else {
      throw Fault(
        .badData, "the header claims \(length) bytes; the limit is \(SafeTensorsFile.largestHeader)", at: path,
        "the file is damaged or not a safetensors file: copy or download it again")
    }
    guard Int(length) <= file.count - 8 else {
      throw Fault(
        .badData, "the header claims \(length) bytes, but only \(file.count - 8) follow", at: path, again)
    }
    let data = UnsafeRawBufferPointer(rebasing: file[(8 + Int(length))...])
    let header = try HeaderReader(UnsafeRawBufferPointer(rebasing: file[8..<8 + Int(length)]), path: path)
    try header.checkLayout(dataCount: data.count, path: path)
    entries = OrderedDictionary(
      uniqueKeysWithValues: header.records.map {
        ($0.tensor.name, .init(dtype: $0.tensor.dtype, shape: $0.tensor.shape, range: $0.begin..<$0.end))
      })
    metadata = header.metadata
    self.data = data
  }
}

extension HeaderReader {
  /// Every range has the length of its tensor, and the ranges cover the data section without gap or overlap.
  fileprivate func checkLayout(dataCount: Int, path: String) throws {
    func fault(_ what: String) -> Fault {
      Fault(.badData, what, at: path, "the file is damaged or incomplete: copy or download it again")
    }
    for record in records {
      let name = record.tensor.name
      guard let count = record.tensor.byteCount else {
        throw fault("tensor '\(name)' has an impossible shape \(record.tensor.shape)")
      }
      guard record.begin <= record.end, record.end <= dataCount else {
        throw fault(
          "tensor '\(name)' claims bytes \(record.begin) to \(record.end), but the data has \(dataCount)")
      }
      guard record.end - record.begin == count else {
        throw fault(
          "tensor '\(name)' is \(record.tensor.dtype.rawValue) \(record.tensor.shape), \(count) bytes, "
            + "but has \(record.end - record.begin)")
      }
    }
    var reached = 0
    for record in records.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
      guard record.begin >= reached else { throw fault("tensor '\(record.tensor.name)' overlaps another") }
      guard record.begin == reached else {
        throw fault("there is a hole of \(record.begin - reached) bytes before tensor '\(record.tensor.name)'")
      }
      reached = record.end
    }
    guard reached == dataCount else { throw fault("\(dataCount - reached) bytes follow the last tensor") }
  }
}

private func mapFile(_ path: String) throws -> (UnsafeRawBufferPointer, FileIdentity) {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else {
    if errno == ENOENT || errno == ENOTDIR {
      throw Fault(.missingInput, "no such file", at: path, "check the path")
    }
    throw Fault(.inputOutput, "cannot open: \(systemReason())", at: path, "check that it is a readable file")
  }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
    throw Fault(.badData, "not a regular file", at: path, "give the path of a safetensors file")
  }
  let count = Int(status.st_size)
  guard count > 0 else {
    throw Fault(.badData, "the file is empty", at: path, "copy or download it again")
  }
  guard let mapping = FileMapping.map(descriptor, count) else {
    throw Fault(
      .inputOutput, "cannot map \(count) bytes: \(systemReason())", at: path,
      "check the limit on virtual memory (ulimit -v)")
  }
  return (mapping, FileIdentity(status))
}
