import Foundation
import Ground

/// A JSON, JSONL or CSV file of records, each of which is read and parsed when it is asked for.
///
/// Opening scans the file once for the records' offsets. By its name a file is CSV (`.csv`, `.tsv` with tabs); of others one
/// that begins with `[` is one list, and any other is JSONL. A record of a CSV file is an object of texts by column.
final class RecordFile: RecordContainer {
  private let file: OpenFile
  private let index: RecordIndex
  /// The columns of a CSV file.
  let header: [String]?
  private let separator: UInt8

  /// - Throws: `Fault` when the file cannot be read, has no record, or is a malformed list.
  /// - Parameters:
  ///   - file: one whose name ends as that of a CSV file is one.
  ///   - cache: where the index of a large file is kept; nil for none.
  init(_ file: OpenFile, cache: CacheFolder? = nil) throws {
    self.file = file
    let separator = RecordFile.separator(of: UnpackedFile.innerName(of: file.name) ?? file.name)
    self.separator = separator ?? 0
    let scan = { try RecordFile.scan(file, separator) }
    let kind = separator.map { "csv \($0)" } ?? "json"
    index = try cache.map { try RecordIndexCache(cache: $0).index(of: file, kind: kind, scan: scan) } ?? scan()
    guard !index.entries.isEmpty else { throw Fault(.badData, "no records", at: file.name, "check the file") }
    header = try separator.map { [index] in try RecordFile.readHeader(file, index, $0) }
  }

  /// What is between the fields of a CSV file, nil for other files.
  private static func separator(of path: String) -> UInt8? {
    switch (path as NSString).pathExtension.lowercased() {
    case "csv": UInt8(ascii: ",")
    case "tsv": UInt8(ascii: "\t")
    default: nil
    }
  }

  private static func readHeader(_ file: OpenFile, _ index: RecordIndex, _ separator: UInt8) throws -> [String] {
    let place = "\(file.name):\(index.entries[0].line)"
    guard index.entries.count > 1 else {
      throw Fault(.badData, "no records below the names of the columns", at: file.name, "check the file")
    }
    do {
      let names = try CSVRecord.fields(readBytes(index.entries[0], of: file), separator: separator)
      if let twice = Dictionary(grouping: names, by: { $0 }).filter({ $0.value.count > 1 }).keys.min() {
        throw Fault(.badData, "two columns are named '\(twice)'", "rename one of them")
      }
      return names
    } catch let fault as Fault {
      throw fault.placed(at: place)
    }
  }

  var path: String { file.name }
  var count: Int { index.entries.count - (header == nil ? 0 : 1) }

  /// `file:line` of record `number`.
  func place(of number: Int) -> String { "\(path):\(entry(number).line)" }

  private func entry(_ number: Int) -> RecordIndex.Entry { index.entries[number + (header == nil ? 0 : 1)] }

  /// Reads and parses record `number`.
  /// - Throws: `Fault(.badData)` with the line and column where it is not JSON.
  func record(_ number: Int) throws -> StoredRecord {
    let entry = entry(number)
    let bytes = try RecordFile.readBytes(entry, of: file)
    if let header { return StoredRecord(json: try object(bytes, header, at: place(of: number))) }
    do {
      return StoredRecord(json: try bytes.withUnsafeBytes { try JSON(parsing: $0, at: place(of: number)) })
    } catch let fault as Fault {
      throw RecordFile.relocate(fault, path: path, firstLine: Int(entry.line))
    }
  }

  /// The fields of a CSV record by column.
  private func object(_ bytes: [UInt8], _ header: [String], at place: String) throws -> JSON {
    do {
      let fields = try CSVRecord.fields(bytes, separator: separator)
      guard fields.count == header.count else {
        throw Fault(
          .badData, "\(fields.count) fields where there are \(header.count) columns",
          "quote fields that hold separators or line ends")
      }
      return .object(.init(uniqueKeysWithValues: zip(header, fields.map(JSON.string))))
    } catch let fault as Fault {
      throw fault.placed(at: place)
    }
  }

  private static func readBytes(_ entry: RecordIndex.Entry, of file: OpenFile) throws -> [UInt8] {
    let length = Int(entry.length)
    return try [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      count = try file.fill(UnsafeMutableRawBufferPointer(buffer), from: entry.offset)
      guard count == length else { throw file.becameShorter() }
    }
  }

  /// The parser counts lines from the record's first ("not valid JSON, line 1 column 7: …"); this makes them the file's.
  private static func relocate(_ fault: Fault, path: String, firstLine: Int) -> Fault {
    let words = fault.what.split(separator: " ", maxSplits: 5)
    guard words.count == 6, words[3] == "line", let line = Int(words[4]) else { return fault }
    let what = words[..<3].joined(separator: " ") + " " + words[5]
    return Fault(fault.kind, what, at: "\(path):\(firstLine + line - 1)", fault.remedy)
  }
}

// MARK: Scanning

extension RecordFile {
  private static func scan(_ file: OpenFile, _ separator: UInt8?) throws -> RecordIndex {
    var scanner: (any RecordScanner)?
    var offset: UInt64 = 0
    try file.forEachPiece { piece in
      var bytes = piece
      if offset == 0, bytes.starts(with: [0xEF, 0xBB, 0xBF]) {  // a UTF-8 byte order mark
        bytes = UnsafeRawBufferPointer(rebasing: bytes[3...])
        offset = 3
      }
      if scanner == nil {
        scanner = separator.map { CSVScanner(path: file.name, separator: $0) } ?? firstScanner(bytes, path: file.name)
      }
      try scanner?.scan(bytes, at: offset)
      offset += UInt64(bytes.count)
    }
    return try scanner?.finish(at: offset) ?? RecordIndex()
  }

  private static func firstScanner(_ bytes: UnsafeRawBufferPointer, path: String) -> any RecordScanner {
    let first = bytes.first { !isWhiteSpace($0) }
    return first == UInt8(ascii: "[") ? ListScanner(path: path) : LineScanner(path: path)
  }
}
