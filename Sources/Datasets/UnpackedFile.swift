import Compression
import Foundation
import Ground

/// Compressed data files, unpacked once into the cache, where records can be read by their places.
///
/// A file goes by the checksum of its compressed bytes. What was unpacked is held against its own checksum with every use;
/// the processes of a machine take turns, so that it is made once.
struct UnpackedFile {
  let cache: CacheFolder

  /// The name without `.gz` or `.zst`; nil for a file that is not compressed.
  static func innerName(of path: String) -> String? {
    let lowered = path.lowercased()
    if lowered.hasSuffix(".tgz") { return String(path.dropLast(4)) + ".tar" }
    for ending in [".gz", ".zst", ".zstd"] where lowered.hasSuffix(ending) {
      return String(path.dropLast(ending.count))
    }
    return nil
  }

  /// What is in the file at `path`, unpacked; it stays in the cache as long as it is open.
  /// - Throws: `Fault` for a damaged file, one that is larger than the cache may be, or a cache that cannot be written.
  func callAsFunction(_ path: String) throws -> OpenFile {
    let source = try OpenFile(path)
    let digits = try UnpackedFile.digits(of: source)
    let name = "data/" + digits
    return try cache.locked(name) {
      if let place = cache.existing(name), let seal = cache.existing(name + ".seal"),
        let kept = try? held(place, path, digits), UnpackedFile.holds(seal, kept)
      {
        return kept
      }
      let (made, seal) = try cache.make(name) {
        let seal = try unpack(source, digits, to: $0)
        return (try held($0, path, digits), seal)
      }
      try cache.make(name + ".seal") { try writeDurably(seal + "\n", to: $0) }
      cache.makeRoom(for: 0, keeping: [name, name + ".seal"])
      return made
    }
  }

  private func held(_ place: String, _ path: String, _ digits: String) throws -> OpenFile {
    let file = try OpenFile(place, named: path, content: digits)
    file.holdInCache()
    return file
  }

  private static func holds(_ seal: String, _ file: OpenFile) -> Bool {
    guard let stated = try? readFile(seal), let found = try? digits(of: file) else { return false }
    return stated.elementsEqual((found + "\n").utf8)
  }

  private static func digits(of file: OpenFile) throws -> String {
    let checksum = Checksum()
    try file.forEachPiece { checksum.add($0) }
    return checksum.digits
  }

  /// Unpacks `source`, whose bytes had the checksum `digits`, to a new file.
  /// - Returns: the checksum of what was written.
  func unpack(_ source: OpenFile, _ digits: String, to target: String) throws -> String {
    let path = source.name
    let output = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard output >= 0 else {
      throw Fault(
        .cannotWrite, "cannot unpack '\(path)': \(systemReason())", at: target,
        "set cache.folder to a folder that can be written, or unpack the file yourself")
    }
    defer { close(output) }
    let (packed, unpacked) = (Checksum(), Checksum())
    var total = 0
    func emit(_ bytes: UnsafeRawBufferPointer) throws {
      total += bytes.count
      guard total <= cache.limit else {
        throw Fault(
          .badData, "unpacked it has more than the \(cache.limit) bytes that the cache may hold", at: path,
          "raise cache.limit_gib, or unpack the file yourself")
      }
      unpacked.add(bytes)
      try writeAll(bytes, to: output, path: target)
    }
    func pieces(_ add: (UnsafeRawBufferPointer) throws -> Void) throws {
      try source.forEachPiece {
        packed.add($0)
        try add($0)
      }
    }
    do {
      if path.lowercased().hasSuffix("gz") {
        let stream = GzipStream()
        try pieces { try stream.add($0, emit: emit) }
        try stream.finish()
      } else {
        let stream = ZstdStream()
        try pieces { try stream.add($0, emit: emit) }
        try stream.finish()
      }
    } catch let failure as GzipStream.Failure {
      throw Fault(.badData, "the gzip file cannot be unpacked: \(failure.reason)", at: path, "replace the file")
    } catch let failure as ZstdDecompressor.Failure {
      throw Fault(.badData, "the zstd file cannot be unpacked: \(failure.reason)", at: path, "replace the file")
    }
    guard packed.digits == digits else {
      throw Fault(.inputOutput, "the file changes while it is read", at: path, "start again when it is whole")
    }
    guard fsync(output) == 0 else {
      throw Fault(.cannotWrite, "cannot write: \(systemReason())", at: target, "free space")
    }
    return unpacked.digits
  }
}
