import Ground

/// JSON: one list of records, which may spread over lines; only brackets, commas and strings are looked at.
struct ListScanner: RecordScanner {
  private enum State { case beforeList, beforeRecord, inRecord, afterList }

  let path: String
  private var index = RecordIndex()
  private var state = State.beforeList
  private var line = 1
  private var start: UInt64 = 0
  private var startLine = 1
  /// Brackets that are open inside the current record.
  private var depth = 0
  private var inString = false
  private var afterBackslash = false

  init(path: String) { self.path = path }

  mutating func scan(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
    for (position, byte) in bytes.enumerated() {
      if byte == 0x0A { line += 1 }
      switch state {
      case .inRecord: try insideRecord(byte, at: offset + UInt64(position))
      case .beforeList:
        if byte == UInt8(ascii: "[") { state = .beforeRecord }
      case .beforeRecord:
        if !isWhiteSpace(byte) { try beginRecord(byte, at: offset + UInt64(position)) }
      case .afterList:
        if !isWhiteSpace(byte) { throw malformed("text after the end of the list", line: line) }
      }
    }
  }

  mutating func finish(at offset: UInt64) throws -> RecordIndex {
    switch state {
    case .afterList: return index
    case .inRecord: throw malformed("the record that begins here is not closed", line: startLine)
    case .beforeList, .beforeRecord: throw malformed("the list is not closed", line: line)
    }
  }

  private mutating func beginRecord(_ byte: UInt8, at offset: UInt64) throws {
    if byte == UInt8(ascii: "]"), index.entries.isEmpty {
      state = .afterList
    } else if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") {
      throw malformed("a record is missing before '\(Character(UnicodeScalar(byte)))'", line: line)
    } else {
      (state, start, startLine) = (.inRecord, offset, line)
      try insideRecord(byte, at: offset)
    }
  }

  private mutating func insideRecord(_ byte: UInt8, at offset: UInt64) throws {
    if inString {
      if afterBackslash {
        afterBackslash = false
      } else if byte == UInt8(ascii: "\\") {
        afterBackslash = true
      } else if byte == UInt8(ascii: "\"") {
        inString = false
      }
      return
    }
    switch byte {
    case UInt8(ascii: "\""): inString = true
    case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
    case UInt8(ascii: ",") where depth == 0: try endRecord(at: offset, next: .beforeRecord)
    case UInt8(ascii: "]") where depth == 0: try endRecord(at: offset, next: .afterList)
    case UInt8(ascii: "}") where depth == 0: throw malformed("'}' without '{'", line: line)
    case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
    default: break
    }
  }

  private mutating func endRecord(at end: UInt64, next: State) throws {
    try index.append(start..<end, line: startLine, path: path)
    state = next
  }

  private func malformed(_ what: String, line: Int) -> Fault {
    Fault(.badData, "not valid JSON: \(what)", at: "\(path):\(line)", "correct the text there")
  }
}
