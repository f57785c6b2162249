import Foundation
import Ground
import TestSupport
import XCTest

@testable import Training

/// By what a resume tells that a file of records is another one.
final class DataIdentityTests: FolderTests {
  private func checksum(_ bytes: [UInt8], reading limit: Int) throws -> String {
    let path = folder + "/file"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let file = try DataIdentity.File(path, reading: limit)
    XCTAssertEqual(file.byteCount, bytes.count)
    return file.checksum
  }

  func testASmallFileCountsWhole() throws {
    var bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let wanted = try checksum(bytes, reading: 5000)
    XCTAssertEqual(wanted, bytes.withUnsafeBytes(Checksum.digits))
    for place in [0, 1, 2500, 4999] {
      bytes[place] ^= 1
      XCTAssertNotEqual(try checksum(bytes, reading: 5000), wanted, "byte \(place)")
      bytes[place] ^= 1
    }
    XCTAssertEqual(try checksum([], reading: 5000), [UInt8]().withUnsafeBytes(Checksum.digits))
  }

  func testOfALargeFilePiecesCountFromTheFirstByteToTheLast() throws {
    var bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let wanted = try checksum(bytes, reading: 6400)
    var seen = 0
    for place in stride(from: 0, to: 100_000, by: 1000) + [99_999] {
      bytes[place] ^= 1
      if try checksum(bytes, reading: 6400) != wanted { seen += 1 }
      if [0, 99_999].contains(place) { XCTAssertNotEqual(try checksum(bytes, reading: 6400), wanted, "byte \(place)") }
      bytes[place] ^= 1
    }
    XCTAssertTrue((3...16).contains(seen), "\(seen) of 101, as 6 in 100 bytes are read")
  }

  func testOfAFolderNothingIsKnown() throws {
    let file = try DataIdentity.File(folder, reading: 100)
    XCTAssertEqual(file, DataIdentity.File(path: folder, byteCount: 0, checksum: ""))
  }
}
