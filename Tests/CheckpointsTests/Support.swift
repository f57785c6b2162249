import Checkpoints
import Foundation
import Ground
import SafeTensors
import Tensors
import XCTest

/// A test case with a folder of its own, which is empty before each test and gone after it.
class CheckpointTestCase: XCTestCase {
  private(set) var folder = ""

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.path + "/checkpoints-" + UUID().uuidString
    try makeFolder(folder)
  }

  override func tearDownWithError() throws { try FileManager.default.removeItem(atPath: folder) }

  /// The fault that `body` throws; fails when there is none.
  func fault<Result>(
    _ note: String = "", file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Result
  ) throws -> Fault {
    do {
      _ = try body()
    } catch let fault as Fault {
      XCTAssertNotNil(fault.place, "the fault names no place: \(fault)", file: file, line: line)
      return fault
    }
    XCTFail("no fault \(note)", file: file, line: line)
    throw CancellationError()
  }

  /// Writes `state` as the ranks would, one after the other.
  @discardableResult
  func write(
    _ state: State, step: Int = 1, ranks: Int = 1, shardBytes: Int = 300, in folder: String? = nil
  ) throws -> String {
    let plan = CheckpointPlan(tensors: state.tensors, shardBytes: shardBytes)
    let writer = CheckpointWriter(folder: folder ?? self.folder, step: step, plan: plan)
    try writer.begin()
    var records: [ShardRecord] = []
    for rank in (0..<ranks).reversed() {
      for shard in plan.shards(ofRank: rank, of: ranks) {
        let record = try state.withStateTensors { try writer.writeShard(shard, from: $0) }
        records.append(try ShardRecord(JSON(parsing: record.json.description, at: "rank \(rank)"), at: "rank \(rank)"))
      }
    }
    try writer.commit(records: records, header: State.header(step))
    return writer.destination
  }

  /// Every file of a folder with its bytes.
  func files(of folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    return try Dictionary(uniqueKeysWithValues: names.map { ($0, try readFile("\(folder)/\($0)")) })
  }

  /// Removes the file first: file systems flush what is written over an old file, which takes milliseconds.
  func overwrite(_ path: String, _ bytes: Data) throws {
    unlink(path)
    try bytes.write(to: URL(fileURLWithPath: path))
  }

  /// Changes the text of a manifest and gives it the right checksum again.
  func forge(_ checkpoint: String, _ change: (String) -> String) throws {
    let path = "\(checkpoint)/manifest.json"
    let text = String(decoding: try readFile(path), as: UTF8.self)
    let body = try XCTUnwrap(text.range(of: "  \"checksum\"", options: .backwards)).lowerBound
    let changed = change(String(text[..<body]))
    XCTAssertNotEqual(changed, String(text[..<body]), "nothing was forged")
    let digits = Array(changed.utf8).withUnsafeBytes { Checksum.digits(of: $0) }
    try overwrite(path, Data("\(changed)  \"checksum\": \"\(digits)\"\n}\n".utf8))
  }

  var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }
}

/// Some tensors with values.
struct State {
  var tensors: [TensorDescription] = []
  var values: [[UInt8]] = []

  /// Adds a tensor whose bytes are pseudo-random.
  mutating func add(_ name: String, _ dtype: DType, _ shape: [Int]) {
    var seed = UInt64(tensors.count + 1)
    tensors.append(TensorDescription(name: name, dtype: dtype, shape: shape))
    values.append(
      (0..<dtype.size * shape.reduce(1, *)).map { _ in
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: seed >> 56)
      })
  }

  /// Every type as matrix, scalar and empty tensor; some tensors are larger than a shard of 300 bytes.
  static var varied: State {
    var state = State()
    for dtype in DType.allCases {
      state.add("\(dtype.rawValue).matrix", dtype, [7, 9])
      state.add("\(dtype.rawValue).scalar", dtype, [])
      state.add("\(dtype.rawValue).empty", dtype, [3, 0])
    }
    state.add("wide rows", .float32, [2, 3, 200])
    return state
  }

  static var small: State {
    var state = State()
    state.add("a", .float32, [10, 12])
    state.add("b", .uint8, [5])
    return state
  }

  func withStateTensors<Result>(_ body: ([StateTensor]) throws -> Result) rethrows -> Result {
    let copies = values.map { bytes in
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
      memory.copyBytes(from: bytes)
      return memory
    }
    defer { for memory in copies { memory.deallocate() } }
    return try body(
      zip(tensors, copies).map {
        StateTensor(name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: UnsafeRawBufferPointer($1))
      })
  }

  static func header(_ step: Int) -> CheckpointHeader {
    CheckpointHeader(
      step: step, dataPosition: ["epoch": 1, "record": .integer(step * 16)], seeds: ["train": 0, "data": -7],
      configurationHash: "c0ffee", extras: ["scale": 0.1, "words": ["ä", .null, true]])
  }
}
