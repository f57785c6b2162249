import Checkpoints
import Foundation
import Ground
import Tensors
import TestSupport
import XCTest

/// What stays, what goes and what is taken, after crashes and otherwise.
final class FolderTests: CheckpointTestCase {
  private func steps() throws -> [Int] { try CheckpointFolder.list(in: folder).map(\.step) }

  private func newest() throws -> Int? { try CheckpointFolder.newestValid(in: folder)?.header.step }

  private func damage(_ step: Int) throws {
    let path = "\(folder)/\(CheckpointFolder.name(step))/shard-00000.safetensors.zst"
    var bytes = try readFile(path)
    bytes[bytes.count / 2] ^= 4
    try overwrite(path, bytes)
  }

  private func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(folder)/\(name)") }

  private func move(_ name: String, to other: String) throws {
    try FileManager.default.moveItem(atPath: "\(folder)/\(name)", toPath: "\(folder)/\(other)")
  }

  func testListTakesOnlyItsOwnNames() throws {
    XCTAssertEqual(try CheckpointFolder.list(in: folder + "/none").count, 0)
    for name in [
      "step-00000010", "step-00000002", "step-123456789", "step-2", "step-000000003", "step--0000001", "step-0000000x",
      "best", "step-00000004.writing", "step-00000005.removing", "step-00000006.replaced", "step-00000010.replaced",
      "step-+0000007", ".replaced",
    ] { try makeFolder("\(folder)/\(name)") }
    let list = try CheckpointFolder.list(in: folder)
    XCTAssertEqual(list.map(\.step), [2, 6, 10, 123_456_789])
    XCTAssertEqual(list[1].folder, "\(folder)/step-00000006.replaced")
    XCTAssertEqual(list[2].folder, "\(folder)/step-00000010")
  }

  func testNewestValidSkipsTheDamagedAndSaysWhy() throws {
    XCTAssertNil(try newest())
    for step in 1...4 { try write(.small, step: step) }
    XCTAssertEqual(try newest(), 4)
    try damage(4)
    try remove("step-00000003/manifest.json")
    try makeFolder("\(folder)/step-00000009")
    try move("step-00000001", to: "step-00000008")
    var skipped: [String] = []
    let checkpoint = try CheckpointFolder.newestValid(in: folder) { path, why in
      skipped.append("\((path as NSString).lastPathComponent): \(why.what)")
    }
    XCTAssertEqual(checkpoint?.header.step, 2)
    XCTAssertEqual(
      skipped,
      [
        "step-00000009: not a checkpoint: it has no manifest.json", "step-00000008: the manifest is of step 1",
        "step-00000004: the shard is damaged: its checksum does not match",
        "step-00000003: not a checkpoint: it has no manifest.json",
      ])
  }

  /// Stops the writer after each of its steps: the earlier checkpoint stays, and the next attempt succeeds.
  func testCrashWhileWriting() throws {
    try write(.small, step: 1)
    let state = State.varied
    let plan = CheckpointPlan(tensors: state.tensors, shardBytes: 300)
    for shardsDone in 0...plan.shards.count {
      let writer = CheckpointWriter(folder: folder, step: 2, plan: plan)
      try writer.begin()
      for shard in 0..<shardsDone {
        _ = try state.withStateTensors { try writer.writeShard(shard, from: $0) }
      }
      XCTAssertEqual(try newest(), 1)
      XCTAssertEqual(try steps(), [1])
      XCTAssertEqual(try names, ["step-00000001", "step-00000002.writing"])
    }
    try write(state, step: 2)
    XCTAssertEqual(try names, ["step-00000001", "step-00000002"], "what the crash left is gone")
    XCTAssertEqual(try Checkpoint(folder: "\(folder)/step-00000002").verify().faults, [])
  }

  func testCrashBeforeAndAfterTheRename() throws {
    try write(.small, step: 1)
    try write(.small, step: 2)
    try move("step-00000002", to: "step-00000002.writing")  // all written, not yet named
    XCTAssertEqual(try newest(), 1)
    try CheckpointFolder.prune(in: folder, keep: 3)
    XCTAssertEqual(try names, ["step-00000001"])
  }

  func testCrashWhileReplacing() throws {
    let old = try write(.small, step: 1)
    try move("step-00000001", to: "step-00000001.replaced")  // the crash: the old one moved, the new one not there
    XCTAssertEqual(try newest(), 1)
    try write(.varied, step: 1)
    XCTAssertEqual(try names, ["step-00000001"])
    XCTAssertEqual(try Checkpoint(folder: old).tensors.count, State.varied.tensors.count)

    try move("step-00000001", to: "step-00000001.replaced")
    try CheckpointFolder.prune(in: folder, keep: 1)
    XCTAssertEqual(try names, ["step-00000001"], "the former one gets its name back")

    try makeFolder("\(folder)/step-00000001.replaced")  // the crash: the new one in place, the old one not yet removed
    XCTAssertEqual(try newest(), 1)
    try write(.small, step: 1)
    XCTAssertEqual(try names, ["step-00000001"])
    XCTAssertEqual(try Checkpoint(folder: old).tensors.count, 2)
  }

  func testAbandon() throws {
    let writer = CheckpointWriter(folder: folder, step: 7, plan: CheckpointPlan(tensors: State.small.tensors))
    try writer.begin()
    struct Stop: Error {}
    XCTAssertThrowsError(try writer.writeShard(0) { _ in throw Stop() }) { XCTAssertTrue($0 is Stop) }
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder + "/step-00000007.writing"), [])
    writer.abandon()
    XCTAssertEqual(try names, [])
  }

  func testCommitWantsEveryShard() throws {
    let state = State.small
    let plan = CheckpointPlan(tensors: state.tensors, shardBytes: 300)
    let writer = CheckpointWriter(folder: folder, step: 1, plan: plan)
    try writer.begin()
    let records = try plan.shards.indices.map { shard in
      try state.withStateTensors { try writer.writeShard(shard, from: $0) }
    }
    for wrong in [[], [records[0]], [records[1], records[1]], records + [records[0]]] {
      let problem = try fault { try writer.commit(records: wrong, header: State.header(1)) }
      XCTAssertEqual(problem.kind, .internalError)
    }
    let shard = "\(folder)/step-00000001.writing/shard-00001.safetensors.zst"
    let bytes = try readFile(shard)
    try overwrite(shard, bytes.dropLast())
    let problem = try fault { try writer.commit(records: records, header: State.header(1)) }
    XCTAssertEqual(problem.kind, .cannotWrite)
    XCTAssertTrue(problem.remedy.contains("share"))
    XCTAssertNil(try newest())
    try overwrite(shard, bytes)
    try writer.commit(records: records, header: State.header(1))
    XCTAssertEqual(try newest(), 1)
  }

  func testPruneKeepsTheNewest() throws {
    try CheckpointFolder.prune(in: folder + "/none", keep: 1)
    for step in 1...5 { try write(.small, step: step) }
    try makeFolder("\(folder)/best")
    try makeFolder("\(folder)/step-00000002.removing")
    try CheckpointFolder.prune(in: folder, keep: 3)
    XCTAssertEqual(try names, ["best", "step-00000003", "step-00000004", "step-00000005"])
    try CheckpointFolder.prune(in: folder, keep: 9)
    XCTAssertEqual(try steps(), [3, 4, 5])
    try CheckpointFolder.prune(in: folder, keep: 1)
    XCTAssertEqual(try steps(), [5])
  }

  func testPruneNeverTakesTheNewestValid() throws {
    for step in 1...5 { try write(.small, step: step) }
    for step in [3, 4, 5] { try damage(step) }
    try CheckpointFolder.prune(in: folder, keep: 1)
    XCTAssertEqual(try steps(), [2, 3, 4, 5], "the damaged newer ones stay to be looked at")
    try damage(2)
    try CheckpointFolder.prune(in: folder, keep: 1)
    XCTAssertEqual(try steps(), [2, 3, 4, 5], "nothing goes when none is valid")
  }

  func testPruneCountsFromTheOneThatHasJustBeenWritten() throws {
    for step in 1...9 { try write(.small, step: step) }
    try CheckpointFolder.prune(in: folder, keep: 2, written: 5)
    XCTAssertEqual(try steps(), [4, 5, 6, 7, 8, 9], "later ones stay and do not count")
    try damage(5)
    try CheckpointFolder.prune(in: folder, keep: 1, written: 5)
    XCTAssertEqual(try steps(), [4, 5, 6, 7, 8, 9], "nothing goes when what was written is damaged")
  }

  func testNewerOnesMoveAndLeaveNothingThatCouldTakeTheirPlace() throws {
    for step in 1...4 { try write(.small, step: step) }
    try damage(4)
    try makeFolder("\(folder)/step-00000004.replaced")
    try move("step-00000003", to: "step-00000003.replaced")
    try makeFolder("\(folder)/step-00000005.writing")
    try makeFolder("\(folder)/aside")
    try CheckpointFolder.moveNewer(than: 2, from: folder, to: folder + "/aside")
    XCTAssertEqual(try names, ["aside", "step-00000001", "step-00000002"])
    XCTAssertEqual(try CheckpointFolder.list(in: folder + "/aside").map(\.step), [3, 4])
    XCTAssertEqual(try CheckpointFolder.newestValid(in: folder + "/aside")?.header.step, 3)
  }

  func testNewestValidOfThoseThatAreWanted() throws {
    for step in 1...4 { try write(.small, step: step) }
    XCTAssertEqual(try CheckpointFolder.newestValid(in: folder, where: { $0.step % 3 == 0 })?.header.step, 3)
    try damage(3)
    let problem = try fault {
      try CheckpointFolder.newestValid(in: folder, skipped: { throw $1 }, where: { $0.step % 3 == 0 })
    }
    XCTAssertTrue(problem.what.contains("damaged"), problem.what)
  }

  func testPruneDoesNotCountTheDamaged() throws {
    for step in 1...6 { try write(.small, step: step) }
    try remove("step-00000005/manifest.json")
    try remove("step-00000004/shard-00001.safetensors.zst")
    try forge("\(folder)/step-00000001") { $0.replacingOccurrences(of: #""version": 1"#, with: #""version": 2"#) }
    try CheckpointFolder.prune(in: folder, keep: 2)
    XCTAssertEqual(try steps(), [1, 3, 6], "another version's is left alone")
  }

  // MARK: What cannot be removed

  /// As on NFS, where a shard that somebody reads keeps its folder from going.
  func testWhatCannotBeRemovedIsLeftToTheNextTime() throws {
    for step in 1...3 { try write(.small, step: step) }
    let deep = try DeepFolder(in: folder + "/step-00000001")
    defer { deep.remove() }
    var left: [Fault] = []
    func prune() throws { try CheckpointFolder.prune(in: folder, keep: 1) { left.append($0) } }
    try prune()
    XCTAssertEqual(try names, ["step-00000001.removing", "step-00000003"])
    XCTAssertEqual(left.map(\.kind), [.cannotWrite])
    XCTAssertEqual(left.first?.place, folder + "/step-00000001.removing")
    XCTAssertEqual(try steps(), [3])

    // One that comes to the same name stays as it is.
    for step in [1, 4] { try write(.small, step: step) }
    try prune()
    XCTAssertEqual(try names, ["step-00000001", "step-00000001.removing", "step-00000004"])
    XCTAssertEqual(left.count, 3)
    deep.remove()
    try prune()
    XCTAssertEqual(try names, ["step-00000004"])
    XCTAssertEqual(left.count, 3)
  }

  func testACheckpointIsReplacedThoughTheFormerOneStays() throws {
    try write(.small, step: 1)
    try makeFolder("\(folder)/step-00000001.replaced")
    let deep = try DeepFolder(in: folder + "/step-00000001.replaced")
    defer { deep.remove() }
    try write(.varied, step: 1)
    XCTAssertEqual(try names, ["step-00000001", "step-00000001.removing"])
    XCTAssertEqual(try Checkpoint(folder: folder + "/step-00000001").tensors.count, State.varied.tensors.count)
  }
}
