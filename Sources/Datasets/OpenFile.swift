import Foundation
import Ground

/// A file that is read by its places for as long as it is needed. It stays open: whatever becomes of its name meanwhile,
/// its bytes can be read.
///
/// Two are equal that are the same file of the system.
public final class OpenFile: Sendable {
  /// What it is called in messages.
  let name: String
  /// The checksum that its bytes go by, where it is known.
  let content: String?
  /// What the system told it by when it was opened.
  let identity: FileIdentity
  private let descriptor: Int32

  /// - Parameter name: nil: its path.
  /// - Throws: `Fault` where there is no such file, it cannot be read, or is not a regular one.
  init(_ path: String, named name: String? = nil, content: String? = nil) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)  // O_NONBLOCK: a pipe must not block here
    guard descriptor >= 0 else {
      if errno == ENOENT { throw Fault(.missingInput, "no such file", at: path, "check the path") }
      let remedy = errno == EMFILE ? "raise the limit (ulimit -Hn), or use fewer files" : "check its permissions"
      throw Fault(.inputOutput, "cannot read: \(systemReason())", at: path, remedy)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw Fault(.badData, "not a regular file", at: path, "name a JSON, JSONL or CSV file")
    }
    (self.name, self.content, self.descriptor) = (name ?? path, content, descriptor)
    identity = FileIdentity(status)
  }

  deinit { close(descriptor) }

  var byteCount: UInt64 { UInt64(max(0, identity.byteCount)) }

  /// Keeps the file in the cache folder that it lies in for as long as it is open (``CacheFolder/makeRoom(for:keeping:usedSince:)``).
  func holdInCache() { flock(descriptor, LOCK_SH) }

  /// `count` bytes from `offset` on.
  /// - Throws: `Fault(.inputOutput)` when the file has become shorter or cannot be read.
  func read(at offset: UInt64, count: Int) throws -> Data {
    var data = Data(count: count)
    let filled = try data.withUnsafeMutableBytes { try fill($0, from: offset) }
    guard filled == count else { throw becameShorter() }
    return data
  }

  func becameShorter() -> Fault {
    Fault(.inputOutput, "the file became shorter while it was in use", at: name, "leave it alone and restart")
  }

  /// Fills `buffer` from `offset` on; returns fewer bytes only at the end of the file.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: UInt64) throws -> Int {
    var filled = 0
    while filled < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(filled))
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        throw Fault(.inputOutput, "cannot read: \(systemReason())", at: name, "check the disk")
      }
      filled += count
    }
    return filled
  }

  /// Hands all bytes to `body`, a MiB at a time.
  func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { piece.deallocate() }
    var offset: UInt64 = 0
    while true {
      let count = try fill(piece, from: offset)
      if count == 0 { return }
      try body(UnsafeRawBufferPointer(rebasing: piece[..<count]))
      offset += UInt64(count)
    }
  }
}

extension OpenFile: Hashable {
  public static func == (a: OpenFile, b: OpenFile) -> Bool {
    a.identity.inode == b.identity.inode && a.identity.device == b.identity.device
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(identity.inode) }
}
