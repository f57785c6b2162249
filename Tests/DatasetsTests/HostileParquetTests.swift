import Foundation
import Ground
import XCTest

@testable import Datasets

/// Parquet files that are sound byte by byte and say what is not so.
final class HostileParquetTests: XCTestCase {
  private func open(_ file: WrittenParquet) throws -> ParquetRecords {
    let folder = try TemporaryFolder()
    return try withExtendedLifetime(folder) {
      let path = folder.path + "/a.parquet"
      try Data(file.bytes).write(to: URL(fileURLWithPath: path))
      return try ParquetRecords(OpenFile(path, named: "a.parquet"))
    }
  }

  private func fault(_ file: WrittenParquet, record: Int? = nil, line: UInt = #line) throws -> String {
    let fault = try thrownFault(line: line) {
      let records = try open(file)
      if let record { _ = try records.record(record) }
    }
    XCTAssertEqual(fault.kind, .badData, line: line)
    XCTAssertEqual(fault.place, record.map { "a.parquet, row \($0 + 1)" } ?? "a.parquet", line: line)
    XCTAssertTrue(fault.what.hasPrefix("not a sound Parquet file: "), fault.what, line: line)
    return String(fault.what.dropFirst("not a sound Parquet file: ".count))
  }

  // MARK: Levels

  /// Of an optional group of two required columns.
  private var group: WrittenParquet {
    WrittenParquet(
      members: 1,
      schema: [
        WrittenParquet.element("s", repetition: 1, members: 2), WrittenParquet.text("a"), WrittenParquet.text("b"),
      ],
      columns: [
        .init(path: ["s", "a"], definitions: [(1, 1)], values: ["x"]),
        .init(path: ["s", "b"], definitions: [(1, 1)], values: ["y"]),
      ])
  }

  /// The same as the item of a list.
  private var list: WrittenParquet {
    WrittenParquet(
      members: 1,
      schema: [
        WrittenParquet.element("l", members: 1, isList: true),
        WrittenParquet.element("list", repetition: 2, members: 1),
        WrittenParquet.element("element", repetition: 1, members: 2), WrittenParquet.text("a"),
        WrittenParquet.text("b"),
      ],
      columns: ["a", "b"].map {
        .init(path: ["l", "list", "element", $0], repetitions: [(1, 0)], definitions: [(1, 2)], values: [$0])
      })
  }

  func testColumnsOfAGroupThatDisagreeWhetherItIsThere() throws {
    XCTAssertEqual(try open(group).record(0).json, ["s": ["a": "x", "b": "y"]])
    XCTAssertEqual(try open(list).record(0).json, ["l": [["a": "a", "b": "b"]]])
    var file = group
    (file.columns[1].definitions, file.columns[1].values) = ([(1, 0)], [])
    XCTAssertEqual(try fault(file, record: 0), "the column 's.b' has no value where its group has some")
    file = list
    (file.columns[1].definitions, file.columns[1].values) = ([(1, 1)], [])
    XCTAssertEqual(
      try fault(file, record: 0), "the column 'l.list.element.b' has no value where its group has some")
    // The first column decides: what others have where there is no group is not looked at.
    file = group
    (file.columns[0].definitions, file.columns[0].values) = ([(1, 0)], [])
    XCTAssertEqual(try open(file).record(0).json, ["s": nil])
  }

  // MARK: Rows

  private var text: WrittenParquet {
    WrittenParquet(
      members: 1, schema: [WrittenParquet.text("text")], columns: [.init(path: ["text"], values: ["hi"])])
  }

  /// Rows without a value, which take next to no bytes.
  private func nulls(_ count: Int) -> WrittenParquet {
    let missing: WrittenParquet.Runs = [(count, 0)]
    return WrittenParquet(
      members: 1, schema: [WrittenParquet.text("text", repetition: 1)],
      columns: [.init(path: ["text"], definitions: missing, values: [], places: count)], rows: count)
  }

  func testRowsThatAreNotThere() throws {
    XCTAssertEqual(try open(text).record(0).json, ["text": "hi"])
    var file = text
    file.rows = 1 << 36
    XCTAssertEqual(try fault(file), "the column 'text' has 1 values in a group of 68719476736 rows")
    // All of the footer says the same, the page does not.
    file.values = 1 << 36
    XCTAssertEqual(try fault(file), "the column 'text' has 1 rows where its group has 68719476736")
    // Nor does the page hold what its header says.
    (file.rows, file.values, file.columns[0].places) = (100_000, nil, 100_000)
    XCTAssertEqual(try fault(file), "a page is cut short")
    file = list
    file.rows = 1 << 36
    XCTAssertEqual(
      try fault(file), "the column 'l.list.element.a' has 1 values in a group of 68719476736 rows")
    file.values = 1 << 36
    XCTAssertEqual(try fault(file), "the column 'l.list.element.a' has 1 rows where its group has 68719476736")
  }

  func testMoreRowsThanBytesMayBeTrue() throws {
    let file = nulls(5000)
    XCTAssertLessThan(file.bytes.count, 500)
    let records = try open(file)
    XCTAssertEqual(records.count, 5000)
    XCTAssertEqual(try records.record(4999).json, ["text": nil])
    // But not by reading the same bytes again and again.
    var twice = file
    twice.groups = 2
    XCTAssertEqual(try fault(twice), "two row groups lie in the same place")
  }
}
