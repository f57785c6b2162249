import Foundation
import Ground

/// The file of one picture's features: four lines that say what follows, then float32 numbers, little-endian.
///
/// The lines are the name of the format, the space, the picture's digest and the XXH3-128 of the numbers. All but the
/// last are known to the reader, and so is the size of the file: nothing in it is believed.
struct FeatureFile {
  let space: String
  let picture: String
  /// How many numbers.
  let count: Int

  private static let digestDigits = 32

  private var opening: [UInt8] { Array("mmdist features, float32, version 1\n\(space)\n\(picture)\n".utf8) }

  /// The numbers; nil where there is no such file, or it is not whole and of this picture and space.
  func read(_ path: String) -> [Float]? {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let opening = opening
    let headerSize = opening.count + FeatureFile.digestDigits + 1
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      Int(status.st_size) == headerSize + count * MemoryLayout<Float>.size
    else { return nil }

    var header = [UInt8](repeating: 0, count: headerSize)
    guard header.withUnsafeMutableBytes({ fill($0, from: descriptor) }), header.starts(with: opening),
      header.last == UInt8(ascii: "\n")
    else { return nil }
    var isWhole = false
    let numbers = [Float](unsafeUninitializedCapacity: count) { buffer, written in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      isWhole = fill(bytes, from: descriptor)
      written = isWhole ? count : 0
    }
    let digest = String(decoding: header[opening.count..<headerSize - 1], as: UTF8.self)
    return isWhole && numbers.withUnsafeBytes(Checksum.digits) == digest ? numbers : nil
  }

  /// Writes the numbers; the system may hold them back, as a file that a crash cuts short is found out when it is read.
  func write(_ numbers: [Float], to path: String) throws {
    precondition(numbers.count == count, "write: \(numbers.count) numbers for a file of \(count)")
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw cannotWrite(path)
    }
    defer { close(descriptor) }
    try numbers.withUnsafeBytes { bytes in
      let header = opening + Array((Checksum.digits(of: bytes) + "\n").utf8)
      try header.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
      try writeAll(bytes, to: descriptor, path: path)
    }
  }

  /// Reads until the buffer is full; false where the file ends before or cannot be read.
  private func fill(_ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32) -> Bool {
    var rest = buffer[...]
    while !rest.isEmpty {
      let got = Foundation.read(descriptor, UnsafeMutableRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { return false }
      rest = rest.dropFirst(got)
    }
    return true
  }
}
