import Foundation
import Ground
import SafeTensors
import Tensors
import XCTest

/// Files of the reference implementation are read, and written to the byte.
final class ReferenceTests: FolderTestCase {
  private func fixture(_ name: String) throws -> String {
    try XCTUnwrap(Bundle.module.path(forResource: "Fixtures/\(name)", ofType: "safetensors"))
  }

  /// Writes again what a file holds, and compares the bytes.
  private func assertRewritesEqual(_ path: String, line: UInt = #line) throws {
    let file = try SafeTensorsFile(path)
    let tensors = try file.entries.map { name, entry in
      (name: name, dtype: entry.dtype, shape: entry.shape, bytes: try file.bytes(of: name))
    }
    let sorted = tensors.reversed().sorted {
      TensorDescription.inReferenceOrder(
        TensorDescription(name: $0.name, dtype: $0.dtype, shape: $0.shape),
        TensorDescription(name: $1.name, dtype: $1.dtype, shape: $1.shape))
    }
    let copy = "\(folder)/copy.safetensors"
    try writeSafeTensors(sorted, metadata: file.metadata, to: copy)
    XCTAssertEqual(try readFile(copy), try readFile(path), line: line)
  }

  func testEveryDType() throws {
    let file = try SafeTensorsFile(fixture("all_dtypes"))
    XCTAssertEqual(file.entries.count, 3 * DType.allCases.count)
    XCTAssertEqual(file.metadata, [:])
    for (start, dtype) in DType.allCases.enumerated() {
      let stem = dtype.rawValue.lowercased()
      for (kind, shape) in [("matrix", [3, 5]), ("scalar", []), ("empty", [0, 4])] {
        let entry = try XCTUnwrap(file.entries["\(stem).\(kind)"])
        XCTAssertEqual(entry.dtype, dtype)
        XCTAssertEqual(entry.shape, shape)
        let bytes = try file.bytes(of: "\(stem).\(kind)")
        XCTAssertEqual(Array(bytes), pattern(dtype.size * shape.reduce(1, *), start: start), "\(stem).\(kind)")
      }
    }
    try assertRewritesEqual(file.path)
  }

  func testOddNamesAndMetadata() throws {
    let file = try SafeTensorsFile(fixture("names"))
    XCTAssertEqual(
      Array(file.entries.keys),
      [
        "plain", "quote \" and \\ and /", "umläut 漢字 🙂", "tab\t line\n bell\u{07} unit\u{1F} delete\u{7F}",
      ])
    XCTAssertEqual(file.metadata, ["format": "pt"])
    XCTAssertEqual(Array(try file.bytes(of: "umläut 漢字 🙂")), pattern(2, start: 4))
    try assertRewritesEqual(file.path)
  }

  func testNoTensors() throws {
    let file = try SafeTensorsFile(fixture("nothing"))
    XCTAssertTrue(file.entries.isEmpty)
    try assertRewritesEqual(file.path)
  }

  func testWriterKeepsTheOrderGiven() throws {
    let path = "\(folder)/order.safetensors"
    let values: [UInt8] = [1, 2, 3, 4, 5]
    try values.withUnsafeBytes { bytes in
      try writeSafeTensors(
        [
          (name: "z", dtype: .uint8, shape: [1], bytes: UnsafeRawBufferPointer(rebasing: bytes[..<1])),
          (name: "a", dtype: .float32, shape: [], bytes: UnsafeRawBufferPointer(rebasing: bytes[1...])),
        ], metadata: ["b": "2", "a": "1"], to: path)
    }
    let file = try SafeTensorsFile(path)
    XCTAssertEqual(Array(file.entries.keys), ["z", "a"])
    XCTAssertEqual(file.entries["a"]?.range, 1..<5)
    XCTAssertEqual(Array(try file.bytes(of: "a")), [2, 3, 4, 5])
    XCTAssertEqual(file.metadata, ["a": "1", "b": "2"])
    let text = String(decoding: try readFile(path), as: UTF8.self)
    XCTAssertTrue(text.contains(#"{"__metadata__":{"a":"1","b":"2"},"z""#))
  }

  func testFailedWriteLeavesTheOldFile() throws {
    // The temporary file's name would be too long, for any user.
    let path = try place(safeTensors("{}"), String(repeating: "x", count: 240) + ".safetensors")
    let problem = try fault { try writeSafeTensors([], metadata: ["x": "y"], to: path) }
    XCTAssertEqual(problem.kind, .cannotWrite)
    XCTAssertEqual([UInt8](try readFile(path)), safeTensors("{}"))
  }

  func testUnknownNameIsAnsweredWithTheNearest() throws {
    let file = try SafeTensorsFile(fixture("all_dtypes"))
    let problem = try fault { try file.bytes(of: "f32.matrx") }
    XCTAssertEqual(problem.kind, .badData)
    XCTAssertTrue(problem.what.contains("'f32.matrix'"), problem.what)
  }
}
