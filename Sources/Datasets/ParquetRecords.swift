import Foundation
import Ground
import Synchronization

/// Parquet as the Hugging Face hub stores data sets: a row is a record, bytes become attachments.
///
/// A row is read by the pages that hold it. Of the format it knows: all physical types; lists, structs and maps; PLAIN and
/// dictionary encodings; pages of version 1 and 2; snappy, gzip and zstd. Anything else is refused by its name.
final class ParquetRecords: RecordContainer {
  private let file: OpenFile
  private let schema: ParquetSchema
  /// The first row of each row group, and the count of all.
  private let starts: [Int]
  private let indices = Mutex<[Int: ParquetChunkIndex]>([:])
  private let pages = ParquetPages(limit: 48 << 20)

  /// The most bytes of a footer.
  private static let longestFooter = 32 << 20

  init(_ file: OpenFile) throws {
    self.file = file
    do {
      schema = try ParquetRecords.schema(file)
    } catch let fault as Fault {
      throw fault.placed(at: file.name)
    }
    starts = schema.groups.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.rows) }
    guard count > 0 else { throw Fault(.badData, "no records", at: file.name, "check the file") }
    do {
      try proveRows()
    } catch let fault as Fault {
      throw fault.placed(at: file.name)
    }
  }

  /// Looks for the rows of a file that claims more of them than it has bytes: a footer says any number, and every row is
  /// asked for by and by. Of each row group all pages of the column with the fewest bytes are decoded.
  private func proveRows() throws {
    guard UInt64(count) > file.byteCount else { return }
    var shortest: [(group: Int, column: Int, chunk: ParquetSchema.Chunk)] = []
    for (group, own) in schema.groups.enumerated() {
      let column = own.chunks.indices.min { own.chunks[$0].byteCount < own.chunks[$1].byteCount } ?? 0
      shortest.append((group, column, own.chunks[column]))
    }
    var end: UInt64 = 0
    for (group, column, chunk) in shortest.sorted(by: { $0.chunk.offset < $1.chunk.offset }) {
      guard chunk.offset >= end else { throw ParquetSchema.damaged("two row groups lie in the same place") }
      end = chunk.end
      let index = try index(group, column)
      for (number, page) in index.pages.enumerated() {
        let last = number + 1 < index.pages.count ? index.pages[number + 1].firstRow : schema.groups[group].rows
        let rows = try self.page(group, column, page, number, dictionary: index.dictionary).rowCount
        guard rows == last - page.firstRow else {
          throw ParquetSchema.damaged("a page has \(rows) rows where it says \(last - page.firstRow)")
        }
      }
    }
  }

  private static func schema(_ file: OpenFile) throws -> ParquetSchema {
    let size = file.byteCount
    guard size >= 12 else { throw ParquetSchema.damaged("it has \(size) bytes") }
    let tail = [UInt8](try file.read(at: size - 8, count: 8))
    if tail[4...].elementsEqual("PARE".utf8) {
      throw Fault(.badData, "the Parquet file is encrypted", "write it without encryption")
    }
    let length = tail[..<4].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard tail[4...].elementsEqual("PAR1".utf8), length <= size - 12, length <= UInt64(longestFooter) else {
      throw ParquetSchema.damaged("it does not end as one")
    }
    let footer = try file.read(at: size - 8 - length, count: Int(length))
    do {
      return try footer.withUnsafeBytes {
        var reader = ThriftReader($0)
        return try ParquetSchema(try reader.fields(), size: size)
      }
    } catch is ThriftReader.Failure {
      throw ParquetSchema.damaged("its footer cannot be read")
    }
  }

  var path: String { file.name }
  var count: Int { starts[starts.count - 1] }
  func place(of number: Int) -> String { "\(path), row \(number + 1)" }

  func record(_ number: Int) throws -> StoredRecord {
    do {
      let group = (starts.firstIndex { $0 > number } ?? starts.count) - 1
      let cells = try schema.columns.indices.map { try rowCells(number - starts[group], group, column: $0) }
      var row = ParquetRow(columns: schema.columns, place: place(of: number))
      let json = try row.object(schema.root, cells)
      return StoredRecord(json: json, attachments: row.attachments)
    } catch let fault as Fault {
      throw fault.placed(at: place(of: number))
    }
  }

  /// What a row has in a column.
  private func rowCells(_ row: Int, _ group: Int, column: Int) throws -> ParquetCells {
    let index = try index(group, column)
    let number = index.page(of: row)
    let page = try page(group, column, index.pages[number], number, dictionary: index.dictionary)
    let inner = row - index.pages[number].firstRow
    guard inner < page.rowCount else { throw ParquetSchema.damaged("a page has fewer rows than it says") }
    if page.rows.isEmpty { return ParquetCells(page: page, places: inner..<inner + 1, firstValue: inner) }
    let start = page.rows[inner]
    let end = inner + 1 < page.rows.count ? Int(page.rows[inner + 1].place) : page.places
    return ParquetCells(page: page, places: Int(start.place)..<end, firstValue: Int(start.value))
  }

  private func index(_ group: Int, _ column: Int) throws -> ParquetChunkIndex {
    let key = group * schema.columns.count + column
    if let known = indices.withLock({ $0[key] }) { return known }
    let index = try ParquetChunkIndex(
      schema.groups[group].chunks[column], rows: schema.groups[group].rows, schema.columns[column], file
    ) { page, dictionary in
      let decoded = try decode(group, column, page, dictionary.map { try decode(group, column, $0, nil) })
      guard decoded.repetitions.first == 0 else {
        throw Fault(
          .badData, "a row of the column '\(schema.columns[column].name)' spreads over two pages",
          "write the file again")
      }
      return decoded.rowCount
    }
    indices.withLock { $0[key] = index }
    return index
  }

  private func page(
    _ group: Int, _ column: Int, _ page: ParquetChunkIndex.Page, _ number: Int, dictionary: ParquetChunkIndex.Page?
  ) throws -> ParquetPage {
    try pages.page(.init(group: group, column: column, page: number)) {
      let words = try dictionary.map { words in
        try pages.page(.init(group: group, column: column, page: -1)) { try decode(group, column, words, nil) }
      }
      return try decode(group, column, page, words)
    }
  }

  private func decode(
    _ group: Int, _ column: Int, _ page: ParquetChunkIndex.Page, _ dictionary: ParquetPage?
  ) throws -> ParquetPage {
    let stored = try file.read(at: page.offset, count: page.header.compressed)
    return try stored.withUnsafeBytes {
      // The values of a dictionary have no levels.
      let type = page.header.kind == .dictionary ? schema.columns[column].withoutLevels : schema.columns[column]
      return try ParquetPage(
        $0, page.header, codec: schema.groups[group].chunks[column].codec, type, dictionary: dictionary)
    }
  }
}
