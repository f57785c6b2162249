import Foundation
import Ground
import SafeTensors
import XCTest

final class WeightFilesTests: FolderTestCase {
  private func placeShard(_ name: String, _ tensors: [String]) throws {
    let values: [UInt8] = [UInt8(tensors.count)]
    try values.withUnsafeBytes { bytes in
      try writeSafeTensors(
        tensors.map { (name: $0, dtype: .uint8, shape: [1], bytes: bytes) }, to: "\(folder)/\(name)")
    }
  }

  private func placeIndex(_ map: String) throws {
    _ = try place(
      Array("{\"metadata\": {\"total_size\": 3}, \"weight_map\": \(map)}".utf8),
      "model.safetensors.index.json")
  }

  func testSingleFile() throws {
    try placeShard("model.safetensors", ["x", "y"])
    try placeShard("adapter_model.safetensors", ["z"])
    let model = try WeightFiles(folder: folder)
    XCTAssertEqual(Array(model.names), ["x", "y"])
    XCTAssertEqual(model["x"]?.entry.shape, [1])
    XCTAssertEqual(Array(try model.bytes(of: "x")), [2])
    XCTAssertNil(model["z"])
    XCTAssertEqual(Array(try WeightFiles(folder: folder, name: "adapter_model").names), ["z"])
  }

  func testShards() throws {
    try placeShard("model-1.safetensors", ["b", "spare"])
    try placeShard("model-2.safetensors", ["a", "c", "b"])
    try placeIndex(#"{"c": "model-2.safetensors", "b": "model-1.safetensors", "a": "model-2.safetensors"}"#)
    let model = try WeightFiles(folder: folder)
    XCTAssertEqual(Array(model.names), ["c", "b", "a"])
    XCTAssertEqual(model.files.map(\.path), ["\(folder)/model-2.safetensors", "\(folder)/model-1.safetensors"])
    XCTAssertEqual(model.unlisted, ["spare"])
    XCTAssertEqual(Array(try model.bytes(of: "b")), [2], "the index says which file counts")
    let problem = try fault { try model.bytes(of: "d") }
    XCTAssertEqual(problem.kind, .badData)
  }

  func testFaultsOfTheIndex() throws {
    try placeShard("model-1.safetensors", ["a"])
    for (map, kind, words) in [
      (#"{"a": "model-9.safetensors"}"#, Fault.Kind.missingInput, "'model-9.safetensors' is not there"),
      (#"{"b": "model-1.safetensors"}"#, .badData, "which does not have it"),
      (#"{"a": "../model-1.safetensors"}"#, .badData, "not a file inside"),
      (#"{"a": "x/../../model-1.safetensors"}"#, .badData, "not a file inside"),
      (#"{"a": "/etc/passwd"}"#, .badData, "not a file inside"), (#"{"a": ""}"#, .badData, "not a file inside"),
      (#"{"a": "model-1.safetensors\u0000"}"#, .badData, "not a file inside"),
      (#"{"a": "."}"#, .badData, "not a file inside"), (#"{"a": 1}"#, .badData, "not a file inside"),
      ("[]", .badData, "weight_map"), ("{", .badData, "not valid JSON"),
    ] {
      try placeIndex(map)
      let problem = try fault { try WeightFiles(folder: folder) }
      XCTAssertEqual(problem.kind, kind, map)
      XCTAssertTrue(problem.what.contains(words), problem.what)
    }
  }

  func testNothingThere() throws {
    XCTAssertEqual(try fault { try WeightFiles(folder: folder) }.kind, .missingInput)
    _ = try place([1], "pytorch_model.bin")
    XCTAssertTrue(try fault { try WeightFiles(folder: folder) }.remedy.contains("convert"))
  }
}
