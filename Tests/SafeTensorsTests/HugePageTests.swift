import Foundation
import Tensors
import XCTest

@testable import SafeTensors

final class HugePageTests: XCTestCase {
  private let path = NSTemporaryDirectory() + "huge-\(UUID().uuidString).safetensors"

  override func tearDown() { unlink(path) }

  /// A file of one tensor, of so many MiB.
  private func makeFile(mebibytes: Int) throws {
    let count = mebibytes << 20
    let header = Data(#"{"x":{"dtype":"U8","shape":[\#(count)],"data_offsets":[0,\#(count)]}}"#.utf8)
    var file = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header
    file += Data((0..<count).map { UInt8(truncatingIfNeeded: $0 / 4096 &+ $0) })
    try file.write(to: URL(fileURLWithPath: path))
  }

  func testLargeFilesAreMappedWhereHugePagesCanHoldThem() throws {
    for mebibytes in [1, 3, 24] {
      try makeFile(mebibytes: mebibytes)
      let descriptor = open(path, O_RDONLY)
      defer { close(descriptor) }
      let size = try XCTUnwrap(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
      let mapping = try XCTUnwrap(FileMapping.map(descriptor, size))
      if mebibytes > 2 { XCTAssertEqual(Int(bitPattern: mapping.baseAddress) % FileMapping.hugePage, 0) }
      XCTAssertTrue(Data(mapping) == (try Data(contentsOf: URL(fileURLWithPath: path))), "\(mebibytes) MiB")
      FileMapping.unmap(mapping)
    }
  }

  /// Whether the system can is its own affair; the file's content is not.
  func testHoldingAFileInHugePagesChangesNothingInIt() throws {
    try makeFile(mebibytes: 24)
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    let open = try SafeTensorsFile(path)
    let first = holdInHugePages(path)
    XCTAssertTrue(try Data(open.bytes(of: "x")) == before.suffix(24 << 20))
    XCTAssertTrue(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    if first { XCTAssertTrue(holdInHugePages(path), "once held, it stays") }
  }

  func testWhatCannotBeHeldIsLeftAlone() throws {
    XCTAssertFalse(holdInHugePages(path), "no such file")
    try makeFile(mebibytes: 1)
    XCTAssertFalse(holdInHugePages(path), "too small to matter")
    XCTAssertFalse(holdInHugePages(NSTemporaryDirectory()), "a folder")
    XCTAssertEqual(mkfifo(path + ".pipe", 0o600), 0)
    defer { unlink(path + ".pipe") }
    XCTAssertFalse(holdInHugePages(path + ".pipe"), "a pipe without a writer")
  }
}
