import Foundation
import Ground

/// Where the pages of a part of a column are, and which rows they hold.
struct ParquetChunkIndex: Sendable {
  struct Page: Sendable {
    let header: ParquetPageHeader
    /// Of the first byte behind its header.
    let offset: UInt64
    let firstRow: Int
  }

  let dictionary: Page?
  /// In the order of their rows.
  let pages: [Page]

  /// Walks over the headers of a chunk.
  ///
  /// - Parameter rowsOf: the rows of a page whose header does not tell them.
  init(
    _ chunk: ParquetSchema.Chunk, rows: Int, _ column: ParquetColumn, _ file: OpenFile,
    rowsOf: (Page, Page?) throws -> Int
  ) throws {
    var (offset, row, values) = (chunk.offset, 0, 0)
    var dictionary: Page?
    var pages: [Page] = []
    while offset < chunk.end, values < chunk.values {
      let (header, length) = try ParquetChunkIndex.header(at: offset, before: chunk.end, file)
      let page = Page(header: header, offset: offset + UInt64(length), firstRow: row)
      guard UInt64(header.compressed) <= chunk.end - page.offset else {
        throw ParquetSchema.damaged("a page goes beyond its column")
      }
      offset = page.offset + UInt64(header.compressed)
      switch header.kind {
      case .other: continue
      case .dictionary: dictionary = page
      case .data, .dataV2:
        guard header.values > 0 else { continue }
        values += header.values
        row += try header.rows ?? (column.repetition == 0 ? header.values : rowsOf(page, dictionary))
        pages.append(page)
      }
    }
    guard row == rows else {
      throw ParquetSchema.damaged("the column '\(column.name)' has \(row) rows where its group has \(rows)")
    }
    self.dictionary = dictionary
    self.pages = pages
  }

  /// The page that holds a row.
  func page(of row: Int) -> Int {
    var (low, high) = (0, pages.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if pages[middle].firstRow <= row { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// A header, whose length is not known before it is read: texts in its statistics can make it long.
  private static func header(
    at offset: UInt64, before end: UInt64, _ file: OpenFile
  ) throws -> (ParquetPageHeader, Int) {
    var size = 1 << 10
    while true {
      let count = Int(min(UInt64(size), end - offset))
      let bytes = try file.read(at: offset, count: count)
      do {
        return try bytes.withUnsafeBytes {
          var reader = ThriftReader($0)
          return (try ParquetPageHeader(try reader.fields()), reader.position)
        }
      } catch ThriftReader.Failure.cutShort where count == size && size < 1 << 24 {
        size <<= 3
      } catch is ThriftReader.Failure {
        throw ParquetSchema.damaged("a page without a header")
      }
    }
  }
}

/// Pages that were decoded last: records that lie side by side are often asked for one after another.
final class ParquetPages: @unchecked Sendable {
  struct Key: Hashable { let group: Int, column: Int, page: Int }

  private let lock = NSLock()
  private let limit: Int
  private var pages: [Key: (page: ParquetPage, used: Int)] = [:]
  private var total = 0
  private var clock = 0

  init(limit: Int) { self.limit = limit }

  /// A page, made where it is not kept.
  func page(_ key: Key, make: () throws -> ParquetPage) rethrows -> ParquetPage {
    let kept: ParquetPage? = lock.withLock {
      clock += 1
      pages[key]?.used = clock
      return pages[key]?.page
    }
    if let kept { return kept }
    let page = try make()
    lock.withLock {
      clock += 1
      if let old = pages.updateValue((page, clock), forKey: key) { total -= old.page.byteCount }
      total += page.byteCount
      while total > limit, pages.count > 1, let oldest = pages.min(by: { $0.value.used < $1.value.used }) {
        pages[oldest.key] = nil
        total -= oldest.value.page.byteCount
      }
    }
    return page
  }
}
