import Datasets
import Foundation
import Ground
import Parallel
import RunFile
import TestSupport
import XCTest

@testable import Training

/// What a start remembers of the look at all records, and what makes it look again.
final class CheckMemoryTests: FolderTests {
  /// Records that are counted when they are looked at.
  private final class Looked: SampleSource, @unchecked Sendable {
    private let lock = NSLock()
    private var looks = 0
    let counts = [3]
    var times: Int { lock.withLock { looks } }

    func sample(_ index: Int) throws -> Sample { throw Fault(.internalError, "not wanted", "") }
    func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
      lock.withLock { looks += range.count }
      return []
    }
    func notes(_ sum: (Int) throws -> Int) throws -> [String] { ["a region is cut"] }
  }

  private var path: (data: String, model: String) { (folder + "/a.jsonl", folder + "/model") }

  private func write(_ text: String, to path: String) throws {
    try text.write(toFile: path, atomically: false, encoding: .utf8)
  }

  override func setUpWithError() throws {
    try super.setUpWithError()
    try makeFolder(path.model)
    try write(#"{"prompt": "a", "completion": "b"}"# + "\n", to: path.data)
    try write("{}", to: path.model + "/config.json")
  }

  private func configuration(_ more: String = "") throws -> RunConfiguration {
    try RunConfiguration(
      parsing:
        "model: \(path.model)\noutput: /there\ndata: {train: [{path: \(path.data)}]\(more)}\ncache: {folder: \(folder)/cache}\n"
    )
  }

  private func remembered(_ configuration: RunConfiguration) throws -> CheckMemory? {
    let open = try OpenData(
      configuration.data.train, at: "data.train", reading: .text, cache: configuration.cacheFolder)
    return CheckMemory(configuration, configuration.data, open)
  }

  private func check(_ records: Looked, _ memory: CheckMemory?, ranks: Int = 1) throws -> [DataCheck] {
    try InProcessCommunicator.run(ranks) { communicator in
      try DataCheck(records, .stop, communicator.rank == 0 ? memory : nil, communicator, threads: 1)
    }
  }

  func testWhatWasLookedAtIsNotLookedAtAgain() throws {
    let early = try remembered(configuration())
    if FileIdentity(path.data)?.isSettled() == false { XCTAssertNil(early, "files may still change unseen") }
    try letSettle(folder)
    let memory = try XCTUnwrap(remembered(configuration()))
    XCTAssertNil(memory.notes())
    let records = Looked()
    // A look that took no time is not worth remembering.
    XCTAssertEqual(try check(records, memory)[0].notes, ["a region is cut"])
    XCTAssertEqual(records.times, 3)
    XCTAssertNil(memory.notes())
    memory.keep(["a region is cut"])
    for ranks in [1, 3] {
      for found in try check(records, memory, ranks: ranks) {
        XCTAssertEqual(
          found.notes, ["a region is cut", "the 3 records are as they were when an earlier run looked at them all"])
        XCTAssertEqual(found.skipped, [])
      }
    }
    XCTAssertEqual(records.times, 3, "remembered")
  }

  func testAnyChangeIsLookedAt() throws {
    try letSettle(folder)
    let known = try configuration()
    try XCTUnwrap(remembered(known)).keep([])
    XCTAssertEqual(try remembered(known)?.notes(), [])
    // Keys that affect training, also of the records' own, lead to a new look; others do not.
    for more in [", max_length: 99", ", train_on: {turns: last}", ", on_error: skip"] {
      XCTAssertNil(try XCTUnwrap(remembered(configuration(more))).notes(), more)
    }
    // So does every file: of the model, and of the data with the same bytes as before.
    func settled(_ body: () throws -> Void) throws -> CheckMemory? {
      try body()
      try letSettle(folder)
      return try remembered(known)
    }
    XCTAssertNil(try XCTUnwrap(settled { try write("{ }", to: path.model + "/config.json") }).notes())
    try XCTUnwrap(remembered(known)).keep([])
    XCTAssertNil(
      try XCTUnwrap(settled { try write(#"{"prompt": "a", "completion": "b"}"# + "\n", to: path.data) }).notes())
    try XCTUnwrap(remembered(known)).keep([])
    XCTAssertNil(try XCTUnwrap(settled { try write("x", to: path.model + "/tokenizer.json") }).notes())
    // What was kept and is damaged is nothing.
    let memory = try XCTUnwrap(remembered(known))
    memory.keep(["fine"])
    let checks = folder + "/cache/checks"
    for name in try FileManager.default.contentsOfDirectory(atPath: checks) { try write("{", to: "\(checks)/\(name)") }
    XCTAssertNil(memory.notes())
    // Folders of folders do not show what changes below them.
    try makeFolder(folder + "/classes/a")
    try Data([1]).write(to: URL(fileURLWithPath: folder + "/classes/a/1.png"))
    var labelled = known
    labelled.data.train = [DataSource(path: folder + "/classes", images: folder + "/classes")]
    let open = try OpenData(labelled.data.train, at: "data.train", reading: .picture)
    XCTAssertNil(CheckMemory(labelled, labelled.data, open))
  }
}
