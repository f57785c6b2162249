import Ground

/// CSV (RFC 4180): a record is a line, unless a quoted field holds line ends; empty lines are skipped.
struct CSVScanner: RecordScanner {
  private enum State { case fieldStart, plain, quoted, afterQuote }

  let path: String
  let separator: UInt8
  private var index = RecordIndex()
  private var state = State.fieldStart
  private var line = 1
  private var start: UInt64?
  private var startLine = 1

  init(path: String, separator: UInt8) {
    self.path = path
    self.separator = separator
  }

  mutating func scan(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
    for (position, byte) in bytes.enumerated() {
      let isLineEnd = byte == UInt8(ascii: "\n")
      if start == nil, !isLineEnd, byte != UInt8(ascii: "\r") {
        (start, startLine) = (offset + UInt64(position), line)
      }
      switch (state, byte) {
      case (.quoted, UInt8(ascii: "\"")): state = .afterQuote
      case (.quoted, _): break
      case (.fieldStart, UInt8(ascii: "\"")), (.afterQuote, UInt8(ascii: "\"")): state = .quoted
      case (_, separator): state = .fieldStart
      case (_, UInt8(ascii: "\n")):
        try close(at: offset + UInt64(position))
        state = .fieldStart
      default: state = .plain
      }
      if isLineEnd { line += 1 }
    }
  }

  mutating func finish(at offset: UInt64) throws -> RecordIndex {
    guard state != .quoted else {
      throw Fault(
        .badData, "a quoted field of the record that begins here is not closed", at: "\(path):\(startLine)",
        "close the quote, and double quotes inside quoted fields")
    }
    try close(at: offset)
    return index
  }

  private mutating func close(at end: UInt64) throws {
    guard let start else { return }
    try index.append(start..<end, line: startLine, path: path)
    self.start = nil
  }
}

/// A record of a CSV file.
enum CSVRecord {
  /// The fields of a record, quotes taken off.
  /// - Throws: `Fault(.badData)` without a place: text behind a closing quote, or bytes that are not UTF-8.
  static func fields(_ record: [UInt8], separator: UInt8) throws -> [String] {
    let quote = UInt8(ascii: "\"")
    var fields: [String] = []
    var field: [UInt8] = []
    func add() throws {
      guard let text = String(validating: field, as: UTF8.self) else {
        throw Fault(.badData, "a field is not UTF-8", "save the file as UTF-8")
      }
      fields.append(text)
      field = []
    }
    let bytes = record.last == UInt8(ascii: "\r") ? record.dropLast() : record[...]
    var index = bytes.startIndex
    while true {
      if index < bytes.endIndex, bytes[index] == quote {
        index += 1
        while index < bytes.endIndex {
          if bytes[index] == quote {
            guard index + 1 < bytes.endIndex, bytes[index + 1] == quote else { break }
            index += 1
          }
          field.append(bytes[index])
          index += 1
        }
        index += 1  // the closing quote
        guard index >= bytes.endIndex || bytes[index] == separator else {
          throw Fault(
            .badData, "text behind the closing quote of field \(fields.count + 1)", "double quotes inside quoted fields"
          )
        }
      } else {
        while index < bytes.endIndex, bytes[index] != separator {
          field.append(bytes[index])
          index += 1
        }
      }
      try add()
      guard index < bytes.endIndex else { return fields }
      index += 1  // the separator
    }
  }
}
