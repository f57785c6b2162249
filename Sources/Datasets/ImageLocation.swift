import Foundation
import Ground
import Media

/// Where the bytes of a picture's file are.
public enum ImageLocation: Hashable, Sendable {
  /// A file of its own.
  case file(String)
  /// `count` bytes of a file from `offset` on, which are called `name` there: a member of an archive.
  case part(of: OpenFile, offset: UInt64, count: Int, name: String)
  /// The bytes themselves, which are called `name` where they stand.
  case bytes(Data, name: String)

  /// No picture may take more bytes than this inside another file.
  static let longestPart = 1 << 30

  /// What it is called in messages: a path, or a place in a file.
  public var name: String {
    switch self {
    case .file(let path): path
    case .part(_, _, _, let name), .bytes(_, let name): name
    }
  }

  /// The bytes of the picture's file.
  /// - Throws: `Fault` where they cannot be read.
  public func read() throws -> Data {
    switch self {
    case .file(let path):
      do {
        return try readFile(path)
      } catch let fault as Fault where fault.kind == .missingInput {
        throw Fault(
          .missingInput, "no such image file", at: path, "check the path; records name pictures from the images folder")
      }
    case .part(let file, let offset, let count, _): return try file.read(at: offset, count: count)
    case .bytes(let data, _): return data
    }
  }

  /// Decodes the picture.
  /// - Throws: `Fault` at its name.
  public func picture() throws -> Picture {
    try read().withUnsafeBytes { try Picture(decoding: $0, at: name) }
  }

  /// Checks, without decoding it, that there is something to read.
  /// - Throws: `Fault` without a place.
  public func check() throws {
    switch self {
    case .file(let path): try ImageFolder.check(path)
    case .part(_, _, let count, let name):
      guard count > 0 else { throw Fault(.badData, "the image '\(name)' is empty", "replace it or remove the record") }
    case .bytes(let data, let name):
      guard !data.isEmpty else {
        throw Fault(.badData, "the image '\(name)' is empty", "replace it or remove the record")
      }
    }
  }

  /// Whether the file begins and ends as a JPEG or PNG does.
  func looksWhole() throws -> Bool {
    guard let (start, end) = try ends() else { return false }
    if start.starts(with: [0xFF, 0xD8, 0xFF]) { return end.suffix(2).elementsEqual([0xFF, 0xD9]) }
    if start.elementsEqual([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      return end.elementsEqual([0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82])
    }
    return false
  }

  /// The first `count` bytes, or all; nil for a file that cannot be opened.
  func beginning(_ count: Int) throws -> Data? {
    switch self {
    case .file(let path):
      guard let file = FileHandle(forReadingAtPath: path) else { return nil }
      defer { try? file.close() }
      return try? file.read(upToCount: count)
    case .part(let file, let offset, let all, _): return try file.read(at: offset, count: min(count, all))
    case .bytes(let data, _): return data.prefix(count)
    }
  }

  /// The first 8 and the last 12 bytes; nil for a file that is too short to be a picture.
  private func ends() throws -> (Data, Data)? {
    switch self {
    case .file(let path):
      guard let file = FileHandle(forReadingAtPath: path) else { return nil }
      defer { try? file.close() }
      guard let start = try? file.read(upToCount: 8), let size = try? file.seekToEnd(), size >= 24 else { return nil }
      try? file.seek(toOffset: size - 12)
      guard let end = try? file.readToEnd(), end.count == 12 else { return nil }
      return (start, end)
    case .part(let file, let offset, let count, _):
      guard count >= 24 else { return nil }
      return (try file.read(at: offset, count: 8), try file.read(at: offset + UInt64(count) - 12, count: 12))
    case .bytes(let data, _): return data.count < 24 ? nil : (data.prefix(8), data.suffix(12))
    }
  }
}

extension ImageLocation: ExpressibleByStringInterpolation {
  /// The file at a path.
  public init(stringLiteral path: String) { self = .file(path) }
}
