import Foundation
import Tensors
import XCTest

@testable import SafeTensors

final class FileMappingTests: XCTestCase {
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
}
