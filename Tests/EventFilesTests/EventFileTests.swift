import Foundation
import Ground
import XCTest

@testable import EventFiles

final class EventFileTests: XCTestCase {
  private var folder = ""

  override func setUpWithError() throws {
    folder = NSTemporaryDirectory() + "events-\(UUID().uuidString)"
  }

  override func tearDownWithError() throws {
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// RFC 3720, B.4, and the usual check value.
  func testChecksum() {
    XCTAssertEqual(crc32c([UInt8](repeating: 0, count: 32)), 0x8a91_36aa)
    XCTAssertEqual(crc32c([UInt8](repeating: 0xff, count: 32)), 0x62a8_ab43)
    XCTAssertEqual(crc32c([UInt8](0..<32)), 0x46dd_794e)
    XCTAssertEqual(crc32c([UInt8]("123456789".utf8)), 0xe306_9283)
    XCTAssertEqual(crc32c([]), 0)
  }

  func testBytesAreThoseOfTensorBoardsWriter() throws {
    let writer = try EventFileWriter(folder: folder, startTime: 1_700_000_000.25, firstStep: 7)
    try writer.scalars(step: 7, wallTime: 1_700_000_001.5, [("loss", 2.5), ("learning_rate/language", 2e-4)])
    try writer.scalars(step: 8, wallTime: 1_700_000_002.75, [("loss", .nan), ("größe", -0.0), ("zero", 0)])
    try writer.scalars(step: 3_000_000_000, wallTime: 1_700_000_003, [("loss", .infinity)])
    try writer.scalars(step: 9, wallTime: 1_700_000_004, [])
    try writer.flush()
    let golden = try XCTUnwrap(Bundle.module.url(forResource: "Fixtures/golden", withExtension: "tfevents"))
    XCTAssertEqual(try readFile(writer.path), try Data(contentsOf: golden))
    XCTAssertTrue(writer.path.contains("/events.out.tfevents.1700000000."), writer.path)
  }

  func testASecondWriterTakesAFileOfItsOwnAndLeavesTheFirst() throws {
    let first = try EventFileWriter(folder: folder, startTime: 5)
    try first.scalars(step: 1, wallTime: 6, [("loss", 1)])
    try first.flush()
    let before = try readFile(first.path)
    let second = try EventFileWriter(folder: folder, startTime: 5)
    try second.scalars(step: 2, wallTime: 7, [("loss", 2)])
    try second.flush()
    XCTAssertNotEqual(first.path, second.path)
    XCTAssertEqual(try readFile(first.path), before)
    try first.scalars(step: 3, wallTime: 8, [("loss", 3)])
    try first.flush()
    XCTAssertEqual(try readFile(first.path).prefix(before.count), before)
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder).count, 2)
  }

  func testNothingIsLostWithoutAFlush() throws {
    var path = ""
    do {
      let writer = try EventFileWriter(folder: folder, startTime: 0)
      path = writer.path
      for step in 0..<5_000 { try writer.scalars(step: step, wallTime: 1, [("loss", Float(step))]) }
      XCTAssertGreaterThan(try readFile(path).count, 65_536, "a long run must not collect in memory")
    }
    let steps = try records(in: readFile(path)).dropFirst().map { try Event(serializedBytes: $0).step }
    XCTAssertEqual(steps, (0..<5_000).map(Int64.init))
  }

  func testAFolderThatCannotBeIsAFault() throws {
    try makeFolder(folder)
    try writeDurably("in the way", to: folder + "/tensorboard")
    XCTAssertThrowsError(try EventFileWriter(folder: folder + "/tensorboard")) {
      XCTAssertEqual(($0 as? Fault)?.kind, .cannotWrite)
    }
  }

  /// The payloads of the records, with their lengths checked.
  private func records(in data: Data) throws -> [[UInt8]] {
    var rest = [UInt8](data)[...]
    var records: [[UInt8]] = []
    while !rest.isEmpty {
      let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      let payload = [UInt8](rest.dropFirst(12).prefix(length))
      XCTAssertEqual(record(of: payload), [UInt8](rest.prefix(length + 16)))
      records.append(payload)
      rest = rest.dropFirst(length + 16)
    }
    return records
  }
}
