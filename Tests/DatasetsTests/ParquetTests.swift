import Foundation
import Ground
import XCTest

@testable import Datasets

final class ParquetTests: XCTestCase {
  private static let folder = Fixtures.folder + "/parquet"
  private static let sound = ["none", "snappy", "gzip", "zstd"].flatMap { ["\($0)-v1", "\($0)-v2"] }

  private func open(_ path: String) throws -> ParquetRecords { try ParquetRecords(OpenFile(path)) }

  /// A record with the bytes of its attachments in place, as hexadecimal digits.
  private func filled(_ json: JSON, _ attachments: [ImageLocation]) throws -> JSON {
    if let number = json[ImageReference.attachmentKey]?.integer {
      let digits = try attachments[number].read().map { byte in
        let digits = String(byte, radix: 16)
        return digits.count < 2 ? "0" + digits : digits
      }
      return ["$bytes": .string(digits.joined())]
    }
    switch json {
    case .array(let items): return .array(try items.map { try filled($0, attachments) })
    case .object(let members): return .object(try members.mapValues { try filled($0, attachments) })
    default: return json
    }
  }

  func testEveryCodecVersionAndEncodingGivesTheSameRows() throws {
    let wanted = try XCTUnwrap(JSON(contentsOf: Self.folder + "/rows.json").array)
    for name in Self.sound {
      let file = try open("\(Self.folder)/\(name).parquet")
      XCTAssertEqual(file.count, 9, name)
      XCTAssertEqual(file.place(of: 6), "\(Self.folder)/\(name).parquet, row 7")
      for row in [8, 0, 1, 2, 3, 4, 5, 6, 7, 8] {
        let record = try file.record(row)
        var found = try filled(record.json, record.attachments)
        // A float of 32 bits is written with all digits of 64.
        found = found.setting("half", to: .number(found["half"]?.double ?? .nan))
        let half = wanted[row].setting("half", to: .number(wanted[row]["half"]?.double ?? .nan))
        for (key, value) in half.object ?? [:] { XCTAssertEqual(found[key], value, "\(name), row \(row), \(key)") }
        XCTAssertEqual(found.object?.count, half.object?.count)
      }
    }
  }

  func testPicturesAndTurns() throws {
    let source = try RecordSource(path: Self.folder + "/zstd-v2.parquet")
    let record = try source.record(3)
    XCTAssertEqual(
      record.turns, [Turn(.user, "<image>\nQuestion 3?"), Turn(.assistant, "Answer 9, \u{201C}so\u{201D}.")])
    XCTAssertEqual(record.images.count, 1)
    XCTAssertEqual(try record.images[0].picture().width, try Self.picture("03-small.jpg").picture().width)
    XCTAssertEqual(try record.images[0].read(), try Self.picture("03-small.jpg").read())
    XCTAssertEqual(record.metadata.value(at: "place.room.name"), "a")
    XCTAssertEqual(record.place, Self.folder + "/zstd-v2.parquet, row 4")
  }

  private static func picture(_ name: String) -> ImageLocation {
    .file(Fixtures.folder + "/../../Goldens/Fixtures/images/" + name)
  }

  func testTheRestIsRefusedByName() throws {
    for (name, says) in [
      ("lz4", "the column 'number' is compressed with LZ4"),
      ("brotli", "the column 'number' is compressed with Brotli"),
      ("delta", "the column 'number' is encoded as DELTA_BINARY_PACKED"),
    ] {
      XCTAssertEqual(try thrownFault { _ = try open("\(Self.folder)/\(name).parquet").record(0) }.what, says)
    }
  }

  /// Whatever is done to the bytes, reading them ends in records or in faults.
  func testDamagedFilesAreFaults() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a.parquet"
    for name in ["snappy-v1", "gzip-v2"] {
      let whole = try readFile("\(Self.folder)/\(name).parquet")
      func read(_ bytes: Data, _ what: String) throws {
        try bytes.write(to: URL(fileURLWithPath: path))
        do {
          let file = try open(path)
          for row in 0..<min(file.count, 9) { _ = try? file.record(row) }
        } catch let fault as Fault {
          XCTAssertEqual(fault.kind, .badData, "\(what): \(fault)")
          XCTAssertTrue(fault.place?.hasPrefix(path) == true, "\(what): \(fault)")
        }
      }
      for length in stride(from: 0, to: whole.count, by: 997) {
        XCTAssertEqual(
          try thrownFault {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path)); _ = try open(path)
          }.kind, .badData)
      }
      for position in stride(from: 5, to: whole.count, by: 97) {
        for value: UInt8 in [0x01, 0xFF] {
          var bytes = whole
          bytes[position] ^= value
          try read(bytes, "\(name), byte \(position)")
        }
      }
      // The footer, where structure is, byte by byte.
      for position in stride(from: whole.count - 1200, to: whole.count, by: 3) {
        var bytes = whole
        bytes[position] = bytes[position] &+ 0x55
        try read(bytes, "\(name), byte \(position)")
      }
    }
  }
}
