import Foundation
import Ground
import XCTest

@testable import Datasets

final class RecordIndexTests: XCTestCase {
  func testAnEntryTakesSixteenBytes() {
    XCTAssertEqual(MemoryLayout<RecordIndex.Entry>.stride, 16)
  }

  /// The index of `text`, handed over in pieces of `size` bytes.
  private func entries(_ text: String, pieces size: Int, list: Bool) throws -> [RecordIndex.Entry] {
    var scanner: any RecordScanner = list ? ListScanner(path: "f") : LineScanner(path: "f")
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: size) {
      try bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { try scanner.scan($0, at: UInt64(start)) }
    }
    return Array(try scanner.finish(at: UInt64(bytes.count)).entries)
  }

  func testLinesDoNotDependOnThePieces() throws {
    let text = "{1}\n\n  {22} \r\n\t\n{333}\n\n{4}"
    let expected = [(0, 3, 1), (7, 6, 3), (16, 5, 5), (23, 3, 7)]
    for size in 1...text.utf8.count {
      let found = try entries(text, pieces: size, list: false)
      XCTAssertEqual(found.map { [Int($0.offset), Int($0.length), Int($0.line)] }, expected.map { [$0, $1, $2] })
    }
  }

  func testListsDoNotDependOnThePieces() throws {
    let text = "\n[ {\"a\\\"]\": [1,\n2]} , 5,\"\\\\\",\n\n[[]]\n]\n"
    let expected = [(3, 17, 2), (22, 1, 3), (24, 4, 3), (31, 5, 5)]
    for size in 1...text.utf8.count {
      let found = try entries(text, pieces: size, list: true)
      XCTAssertEqual(found.map { [Int($0.offset), Int($0.length), Int($0.line)] }, expected.map { [$0, $1, $2] })
    }
  }

  func testARecordLargerThanTheLimitIsRefused() throws {
    var index = RecordIndex()
    try index.append(0..<UInt64(RecordIndex.longestRecord), line: 1, path: "f")
    let fault = try thrownFault { try index.append(5..<UInt64(RecordIndex.longestRecord + 6), line: 9, path: "f") }
    XCTAssertEqual(fault.what, "a record of 67108865 bytes, the most is 67108864")
    XCTAssertEqual(fault.place, "f:9")
  }

  /// Damaged files give faults or other records, never a crash.
  func testDamagedFiles() throws {
    let record = #"{"id": "é", "image": ["a"], "conversations": [{"from": "human", "value": "<image>\n\\\"q"}]}"#
    let folder = try TemporaryFolder()
    var generator = Noise(state: 1)
    var faults = 0
    for round in 0..<300 {
      let lines = [String](repeating: record, count: 3)
      var bytes = Array((round % 2 == 0 ? lines.joined(separator: "\n") : "[\(lines.joined(separator: ",\n"))]").utf8)
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let at = Int.random(in: 0..<bytes.count, using: &generator)
        switch generator.next() % 3 {
        case 0: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
        case 1: bytes.remove(at: at)
        default: bytes.insert(bytes.randomElement(using: &generator) ?? 0, at: at)
        }
      }
      let path = folder.path + "/damaged"
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      do {
        let source = try RecordSource(path: path)
        for number in 0..<source.count { _ = try source.record(number) }
      } catch let fault as Fault {
        XCTAssert(fault.place?.hasPrefix(path) == true, fault.description)
        faults += 1
      }
    }
    XCTAssertGreaterThan(faults, 150)
  }
}

/// A repeatable source of random numbers.
struct Noise: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 1
    return scramble(state)
  }
}
