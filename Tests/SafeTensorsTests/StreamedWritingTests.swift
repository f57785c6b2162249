import Foundation
import Ground
import SafeTensors
import Tensors
import XCTest

/// Files that are written tensor by tensor.
final class StreamedWritingTests: XCTestCase {
  private let path = FileManager.default.temporaryDirectory.path + "/streamed-\(UUID().uuidString)"
  private let descriptions = [
    TensorDescription(name: "a", dtype: .float32, shape: [2, 3]),
    TensorDescription(name: "b", dtype: .uint8, shape: [0]),
    TensorDescription(name: "c", dtype: .bfloat16, shape: [5]),
  ]
  private let values: [[UInt8]] = [Array(0..<24), [], Array(100..<110)]

  override func tearDown() { for name in [path, path + ".whole"] { unlink(name) } }

  func testTheFileIsTheOneThatIsWrittenAtOnce() throws {
    try writeSafeTensors(descriptions, metadata: ["format": "pt"], to: path) { append in
      for value in values { try value.withUnsafeBytes(append) }
    }
    try values[0].withUnsafeBytes { first in
      try values[2].withUnsafeBytes { last in
        try writeSafeTensors(
          [
            ("a", .float32, [2, 3], first), ("b", .uint8, [0], UnsafeRawBufferPointer(start: nil, count: 0)),
            ("c", .bfloat16, [5], last),
          ], metadata: ["format": "pt"], to: path + ".whole")
      }
    }
    XCTAssertEqual(try readFile(path), try readFile(path + ".whole"))
  }

  func testNothingIsLeftWhereValuesCannotBeMade() throws {
    let fault = Fault(.badData, "no", at: "here", "stop")
    XCTAssertThrowsError(
      try writeSafeTensors(descriptions, to: path) { append in
        try values[0].withUnsafeBytes(append)
        throw fault
      }
    ) { XCTAssertEqual(($0 as? Fault)?.what, "no") }
    XCTAssertFalse(FileManager.default.fileExists(atPath: path))
  }

  func testAFolderThatIsNotThere() {
    XCTAssertThrowsError(try writeSafeTensors([], to: path + "/none/file") { _ in }) {
      XCTAssertEqual(($0 as? Fault)?.kind, .cannotWrite)
    }
  }
}
