import Checkpoints
import Foundation
import Ground
import SafeTensors
import Tensors
import XCTest

final class RoundTripTests: CheckpointTestCase {
  func testEveryDTypeComesBack() throws {
    let state = State.varied
    for shardBytes in [20, 64, 300, 1 << 20] {
      let checkpoint = try Checkpoint(folder: write(state, step: shardBytes, shardBytes: shardBytes))
      XCTAssertEqual(checkpoint.header, State.header(shardBytes))
      XCTAssertEqual(checkpoint.tensors.map(\.description), state.tensors)
      var seen: [String: [UInt8]] = [:]
      try checkpoint.readAll { name, dtype, shape, bytes in
        XCTAssertEqual(checkpoint[name]?.description, TensorDescription(name: name, dtype: dtype, shape: shape))
        XCTAssertNil(seen.updateValue(Array(bytes), forKey: name), "\(name) came twice")
      }
      XCTAssertEqual(seen.count, state.tensors.count)
      for (tensor, values) in zip(state.tensors, state.values) {
        XCTAssertEqual(seen[tensor.name], values, tensor.name)
        XCTAssertEqual(try checkpoint.read(tensor.name), values, tensor.name)
      }
      let report = try checkpoint.verify()
      XCTAssertEqual(report.faults, [])
      XCTAssertEqual(report.shardCount, checkpoint.shards.count)
    }
  }

  func testReadIntoMemoryLeavesOut() throws {
    let state = State.varied
    let checkpoint = try Checkpoint(folder: write(state))
    var asked: [String] = []
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4800, alignment: 8)
    defer { memory.deallocate() }
    try checkpoint.readAll { tensor in
      asked.append(tensor.description.name)
      return tensor.description.name == "wide rows" ? memory : nil
    }
    XCTAssertEqual(asked.sorted(), state.tensors.map(\.name).sorted(), "each tensor is asked for once")
    XCTAssertEqual(Array(memory), state.values.last)
  }

  func testOnlyWantedShardsAreRead() throws {
    let path = try write(.varied)
    let checkpoint = try Checkpoint(folder: path)
    let rows = try XCTUnwrap(checkpoint["wide rows"])
    let wanted = try XCTUnwrap(rows.parts.last)
    for shard in checkpoint.shards where shard.index != wanted.shard {
      try FileManager.default.removeItem(atPath: "\(path)/\(shard.file)")
    }
    var count = 0
    try checkpoint.forEachBox(where: { $0 == rows && $1 == wanted.box }) { _, box, bytes in
      XCTAssertEqual(bytes.count, box.elementCount * 4)
      count += 1
    }
    XCTAssertEqual(count, 1)
    XCTAssertEqual(try fault { try checkpoint.read("wide rows") }.kind, .missingInput)
  }

  func testFilesDoNotDependOnRanks() throws {
    let one = try files(of: write(.varied, in: folder + "/1"))
    XCTAssertGreaterThan(one.count, 10)
    for ranks in [2, 3, 7, 100] {
      XCTAssertEqual(try files(of: write(.varied, ranks: ranks, in: "\(folder)/\(ranks)")), one, "\(ranks) ranks")
    }
  }

  func testPlanFollowsFromTheTensorsAlone() throws {
    let plan = CheckpointPlan(tensors: State.varied.tensors, shardBytes: 300)
    for shard in plan.shards {
      let size = shard.entries.reduce(0) { $0 + $1.byteCount! }
      XCTAssertTrue(1...300 ~= size || shard.pieces.allSatisfy { $0.box.elementCount == 0 }, "\(size)")
    }
    XCTAssertEqual(CheckpointPlan(tensors: []).shards.count, 0)
    XCTAssertEqual(Array(plan.shards(ofRank: 1, of: 3)), Array(stride(from: 1, to: plan.shards.count, by: 3)))
    let big = CheckpointPlan(tensors: [TensorDescription(name: "w", dtype: .bfloat16, shape: [128_256, 4096])])
    XCTAssertEqual(big.shards.count, 32)
    XCTAssertEqual(big.shards[0].entries.map(\.name), ["w[0:4096,0:4096]"])
    XCTAssertEqual(big.shards[31].entries.map(\.name), ["w[126976:128256,0:4096]"])
  }

  func testNothingToSave() throws {
    let checkpoint = try Checkpoint(folder: write(State()))
    XCTAssertEqual(checkpoint.tensors, [])
    XCTAssertEqual(try checkpoint.verify().faults, [])
    XCTAssertEqual(try fault { try checkpoint.read("x") }.kind, .badData)
  }

  /// The form of the manifest is public: this is what a version 1 manifest says.
  func testManifestText() throws {
    let path = try write(.small)
    let json = try JSON(contentsOf: "\(path)/manifest.json")
    XCTAssertEqual(
      Array(try XCTUnwrap(json.object).keys),
      [
        "format", "version", "step", "data_position", "seeds", "configuration_hash", "extras", "tensors", "shards",
        "checksum",
      ])
    XCTAssertEqual(json["format"], "mmdist checkpoint")
    XCTAssertEqual(json["version"], 1)
    XCTAssertEqual(json["data_position"], ["epoch": 1, "record": 16])
    XCTAssertEqual(
      json["tensors"]?["a"],
      [
        "dtype": "F32", "shape": [10, 12],
        "boxes": [
          ["offset": [0, 0], "size": [6, 12], "shard": 0], ["offset": [6, 0], "size": [4, 12], "shard": 1],
        ],
      ])
    XCTAssertEqual(json["tensors"]?["b"]?["boxes"], [["offset": [0], "size": [5], "shard": 1]])
    let shard = try XCTUnwrap(json["shards"]?.array?.last)
    let file = try readFile("\(path)/shard-00001.safetensors.zst")
    XCTAssertEqual(shard["file"], "shard-00001.safetensors.zst")
    XCTAssertEqual(shard["bytes"]?.integer, file.count)
    XCTAssertEqual(shard["xxh3_128"]?.string, file.withUnsafeBytes { Checksum.digits(of: $0) })
  }

  /// The published test value of XXH3-128 with seed 0 over no bytes, and one computed with `xxhsum -H2`.
  func testChecksumIsXXH3() {
    XCTAssertEqual([UInt8]().withUnsafeBytes { Checksum.digits(of: $0) }, "99aa06d3014798d86001c324468d497f")
    XCTAssertEqual(Array("abc".utf8).withUnsafeBytes { Checksum.digits(of: $0) }, "06b05ab6733a618578af5f94892f3950")
  }
}
