import Foundation
import Ground
import XCTest

@testable import Datasets

/// CSV files: records by RFC 4180, and what is wrong with a file, with its line.
final class CSVTests: XCTestCase {
  private func rows(_ text: String, name: String = "t.csv") throws -> [[String]] {
    let folder = try TemporaryFolder()
    let file = try RecordFile(OpenFile(folder.write(text, to: name)))
    return try [file.header ?? []]
      + (0..<file.count).map { number in
        let record = try file.record(number).json
        return (record.object ?? [:]).values.compactMap(\.string)
      }
  }

  private func place(_ text: String, _ number: Int) throws -> String {
    let folder = try TemporaryFolder()
    let file = try RecordFile(OpenFile(folder.write(text, to: "t.csv")))
    return String(file.place(of: number).dropFirst(folder.path.count + 1))
  }

  private func problem(_ text: String, caller: UInt = #line) throws -> String {
    let folder = try TemporaryFolder()
    let path = try folder.write(text, to: "t.csv")
    let fault = try thrownFault(line: caller) {
      let file = try RecordFile(OpenFile(path))
      for number in 0..<file.count { _ = try file.record(number) }
    }
    XCTAssertEqual(fault.kind, .badData, line: caller)
    return "\(fault.place?.dropFirst(folder.path.count + 1) ?? ""): \(fault.what)"
  }

  func testFields() throws {
    XCTAssertEqual(try rows("a,b\n1,2\n"), [["a", "b"], ["1", "2"]])
    XCTAssertEqual(try rows("a,b\r\n1,2\r\n\r\n\n3,4"), [["a", "b"], ["1", "2"], ["3", "4"]])
    XCTAssertEqual(try rows("a,b\n,\n \"x\", y \n"), [["a", "b"], ["", ""], [" \"x\"", " y "]])
    XCTAssertEqual(
      try rows("\"a\",\"b\"\n\"x, y\",\"say \"\"hi\"\"\"\n\"\",\"two\nlines\r\nthree\"\n"),
      [["a", "b"], ["x, y", "say \"hi\""], ["", "two\nlines\r\nthree"]])
    XCTAssertEqual(try rows("\u{FEFF}a\nü\n"), [["a"], ["ü"]])
    XCTAssertEqual(try rows("a\tb\n1,5\t\"x\ty\"\n", name: "t.TSV"), [["a", "b"], ["1,5", "x\ty"]])
    XCTAssertEqual(try rows("a,b\n5\" disk,\"\"\n"), [["a", "b"], ["5\" disk", ""]])
  }

  func testLinesOfRecords() throws {
    let text = "\na,b\n\n\"x\ny\n\",1\n2,3\n"
    XCTAssertEqual(try place(text, 0), "t.csv:4")
    XCTAssertEqual(try place(text, 1), "t.csv:7")
  }

  /// The pieces in which a file is read end anywhere: between two quotes, or within a line end.
  func testPiecesThatEndAnywhere() throws {
    let text = Array("a,b\r\n\"x\"\"\r\n,\",\"\"\r\ny,z\r\n".utf8)
    var wanted: RecordIndex?
    for size in [text.count] + Array(1..<text.count) {
      var scanner = CSVScanner(path: "t.csv", separator: UInt8(ascii: ","))
      for start in stride(from: 0, to: text.count, by: size) {
        try text[start..<min(start + size, text.count)].withUnsafeBytes { try scanner.scan($0, at: UInt64(start)) }
      }
      let index = try scanner.finish(at: UInt64(text.count))
      XCTAssertEqual(index.entries.count, 3)
      XCTAssertEqual(index.entries, wanted?.entries ?? index.entries, "pieces of \(size)")
      wanted = wanted ?? index
    }
  }

  func testWhatIsWrong() throws {
    XCTAssertEqual(try problem("a,b\n1,2\n1\n"), "t.csv:3: 1 fields where there are 2 columns")
    XCTAssertEqual(try problem("a,b\n1,2,3\n"), "t.csv:2: 3 fields where there are 2 columns")
    XCTAssertEqual(try problem("a,b\n\"x\"y,2\n"), "t.csv:2: text behind the closing quote of field 1")
    XCTAssertEqual(
      try problem("a,b\n1,2\n1,\"x\n2,3\n"),
      "t.csv:3: a quoted field of the record that begins here is not closed")
    XCTAssertEqual(try problem("a,a\n1,2\n"), "t.csv:1: two columns are named 'a'")
    XCTAssertEqual(try problem("a,b\n"), "t.csv: no records below the names of the columns")
    XCTAssertEqual(try problem("\n\n"), "t.csv: no records")
    let folder = try TemporaryFolder()
    try Data("a\n".utf8 + [0xC3, 0x28] + "\n".utf8).write(to: URL(fileURLWithPath: folder.path + "/t.csv"))
    let file = try RecordFile(OpenFile(folder.path + "/t.csv"))
    XCTAssertEqual(try thrownFault { _ = try file.record(0) }.what, "a field is not UTF-8")
  }
}
