import Foundation

/// JSONL: one record a line; lines of white space are skipped.
struct LineScanner: RecordScanner {
  let path: String
  private var index = RecordIndex()
  private var line = 1
  /// Offset of the first character of the current line that is not white space.
  private var start: UInt64?

  init(path: String) { self.path = path }

  mutating func scan(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
    var position = 0
    while position < bytes.count {
      if start == nil {
        while position < bytes.count, isWhiteSpace(bytes[position]) {
          if bytes[position] == 0x0A { line += 1 }
          position += 1
        }
        guard position < bytes.count else { return }
        start = offset + UInt64(position)
      }
      let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
      guard let base = rest.baseAddress, let lineFeed = memchr(base, 0x0A, rest.count) else { return }
      position += base.distance(to: UnsafeRawPointer(lineFeed))
      try closeLine(at: offset + UInt64(position))
      line += 1
      position += 1
    }
  }

  mutating func finish(at offset: UInt64) throws -> RecordIndex {
    try closeLine(at: offset)
    return index
  }

  private mutating func closeLine(at end: UInt64) throws {
    guard let start else { return }
    try index.append(start..<end, line: line, path: path)
    self.start = nil
  }
}
