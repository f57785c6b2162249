import Foundation
import Ground
import TestSupport
import XCTest

@testable import Training

/// Starts in an output folder that an earlier start has left in some state.
final class ContinuedRunTests: FolderTests {
  private func said(_ notes: [String], _ words: String) -> Bool { notes.contains { $0.contains(words) } }

  // MARK: What follows from a checkpoint

  func testWhatFollowsFromACheckpointIsMadeAgain() throws {
    let run = try SmallRun(folder)
    let validation = "data.validation=[{path: \(folder)/train.jsonl, images: \(Golden.fixtures)/images}]"
    let sets = ["evaluate={every: 1, best: loss, samples: 4, metrics: [loss]}", validation]
    try run.train(sets)
    let (adapter, reason) = try (run.adapter, run.bytes("run/checkpoints/best.json"))
    let files = FileManager.default
    let link = folder + "/run/checkpoints/best"
    let best = try files.destinationOfSymbolicLink(atPath: link)

    // The program ended between the last checkpoint and what follows from it, or while that was being renamed.
    try Data("old".utf8).write(to: URL(fileURLWithPath: folder + "/run/adapter/adapter_model.safetensors"))
    try files.createDirectory(atPath: folder + "/run/adapter.writing", withIntermediateDirectories: true)
    try files.removeItem(atPath: link)
    try files.createSymbolicLink(atPath: link, withDestinationPath: "step-00000099")
    try files.removeItem(atPath: link + ".json")
    let again = try run.train(sets)
    XCTAssertTrue(said(again.notes, "nothing is left to do"), "\(again.notes)")
    XCTAssertEqual(try run.adapter, adapter)
    XCTAssertFalse(run.exists("run/adapter.writing"))
    XCTAssertEqual(try files.destinationOfSymbolicLink(atPath: link), best)
    XCTAssertEqual(try run.bytes("run/checkpoints/best.json"), reason)

    try files.removeItem(atPath: folder + "/run/adapter")
    try run.train(sets, ranks: 2)
    XCTAssertEqual(try run.adapter, adapter)
  }

  func testALinkToNowhereGoes() throws {
    let run = try SmallRun(folder)
    try run.train()
    let link = folder + "/run/checkpoints/best"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "step-00000099")
    try Data("{}".utf8).write(to: URL(fileURLWithPath: link + ".json"))
    try run.train()
    XCTAssertNil(try? FileManager.default.destinationOfSymbolicLink(atPath: link))
    XCTAssertFalse(run.exists("run/checkpoints/best.json"))
  }

  // MARK: Checkpoints that cannot be removed

  /// The new checkpoint is safe, and the run goes on: it says once what stays.
  func testARunGoesOnThoughAnOldCheckpointCannotBeRemoved() throws {
    let run = try SmallRun(folder)
    let old = folder + "/run/checkpoints/step-00000099.removing"
    try FileManager.default.createDirectory(atPath: old, withIntermediateDirectories: true)
    let deep = try DeepFolder(in: old)
    defer { deep.remove() }
    let trained = try run.train(["checkpoint.keep=1"], ranks: 2)
    XCTAssertEqual(trained.ending, .finished)
    XCTAssertTrue(run.exists("run/checkpoints/step-00000006/manifest.json"))
    XCTAssertFalse(run.exists("run/checkpoints/step-00000005"))
    let warnings = trained.notes.filter { $0.hasPrefix("warning: an old checkpoint stays until it can be removed: ") }
    XCTAssertEqual(warnings.count, 1, "\(trained.notes)")
    XCTAssertTrue(said(warnings, old), "\(warnings)")
  }

  // MARK: Checkpoints that cannot be used

  /// The system gives nothing of a file, which is there.
  private func makeUnreadable(_ file: String, while body: () throws -> Void) throws {
    rename(file, file + ".away")
    symlink(file, file)  // leads to itself
    defer { rename(file + ".away", file) }
    try body()
  }

  private func refusal(_ run: SmallRun, _ resume: TrainingRun.Resume = .auto) throws -> Fault {
    let log = try run.bytes("run/metrics.jsonl")
    defer { XCTAssertEqual(try run.bytes("run/metrics.jsonl"), log, "nothing is cut") }
    do {
      try run.train(["train.steps=8"], resume: resume)
    } catch let fault as Fault { return fault }
    XCTFail("it began")
    throw CancellationError()
  }

  func testACheckpointThatCannotBeReadNowIsNotPassedOver() throws {
    let run = try SmallRun(folder)
    try run.train()
    for file in ["shard-00000.safetensors.zst", "manifest.json"] {
      try makeUnreadable(run.checkpoint(6) + "/" + file) {
        let fault = try refusal(run)
        XCTAssertEqual(fault.kind, .inputOutput)
        XCTAssertTrue(fault.remedy.contains("--resume DIR"), fault.remedy)
      }
    }
    try makeUnreadable(run.checkpoint(6) + "/manifest.json") {
      let named = try run.train(resume: .from(run.checkpoint(5)))
      XCTAssertTrue(said(named.notes, "resumed after step 5 from"), "\(named.notes)")
    }
  }

  func testWhenAllAreDamagedTheRunDoesNotBeginAgain() throws {
    let run = try SmallRun(folder)
    try run.train(["train.steps=2"])
    for step in 1...2 { unlink(run.checkpoint(step) + "/manifest.json") }
    let fault = try refusal(run)
    XCTAssertEqual(fault.kind, .badData)
    XCTAssertTrue(fault.what.contains("none of its 2 checkpoints"), fault.what)
    for way in ["--resume DIR", "--resume never"] { XCTAssertTrue(fault.remedy.contains(way), fault.remedy) }
    try run.train(["train.steps=2"], resume: .never)
    XCTAssertEqual(try run.loggedSteps(), [1, 2])
  }

  // MARK: Lines that are not there

  func testALineThatCannotBeReadCostsNoOther() throws {
    let run = try SmallRun(folder)
    try run.train(["train.steps=4"])
    let path = folder + "/run/metrics.jsonl"
    var lines = try run.bytes("run/metrics.jsonl").split(separator: 0x0A).map { Data($0) }
    lines[1] = Data("?".utf8)
    try Data(lines.joined(separator: [0x0A]) + [0x0A]).write(to: URL(fileURLWithPath: path))
    let notes = try run.train(["train.steps=5"]).notes
    let kept = try run.bytes("run/metrics.jsonl").split(separator: 0x0A)
    XCTAssertEqual(kept.count, 5)
    XCTAssertEqual(Array(kept[..<4]), lines.map { $0[...] })
    XCTAssertFalse(said(notes, "has no line"), "\(notes)")
  }

  func testTheUserIsToldWhenTheLineOfTheStepIsMissing() throws {
    let run = try SmallRun(folder)
    try run.train(["train.steps=4"])
    let path = folder + "/run/metrics.jsonl"
    let lines = try run.bytes("run/metrics.jsonl").split(separator: 0x0A)
    try Data(lines[..<3].joined(separator: [0x0A]) + [0x0A]).write(to: URL(fileURLWithPath: path))
    let notes = try run.train(["train.steps=5"]).notes
    XCTAssertTrue(notes.contains("warning: \(path) has no line of step 4"), "\(notes)")
    XCTAssertEqual(try run.loggedSteps(), [1, 2, 3, 5])
  }

  // MARK: Requests to stop

  func testAStopThatComesWithTheLastStepAsksNothingOfALongerRun() throws {
    let run = try SmallRun(folder)
    XCTAssertEqual(try run.train(["train.steps=2"], stopAfter: 2).ending, .finished)
    XCTAssertFalse(run.exists("run/STOP"))
    try place("", "run/STOP")
    XCTAssertTrue(said(try run.train(["train.steps=2"]).notes, "nothing is left to do"))
    XCTAssertFalse(run.exists("run/STOP"))
    XCTAssertEqual(try run.train(["train.steps=4"]).ending, .finished)
    XCTAssertEqual(try run.loggedSteps(), [1, 2, 3, 4])
  }

  // MARK: Gradients

  func testAGradientThatIsNotFiniteEndsTheRunBeforeTheUpdate() throws {
    let run = try SmallRun(folder)
    try run.train(["train.steps=2"])
    let adapter = try run.adapter
    // The loss is a number; what flows back from it is too large for one.
    for ranks in [1, 2] {
      let sets = ["train.steps=4", "train.objective={cross_entropy: 1.0e+39, z_loss: 1.0}"]
      XCTAssertThrowsError(try run.train(sets, ranks: ranks)) { error in
        let fault = error as? Fault
        XCTAssertEqual(fault?.kind, .internalError)
        XCTAssertEqual(fault?.what, "the gradient of 'language' is not finite in step 3")
        XCTAssertTrue(fault?.remedy.contains("--resume DIR") == true, "\(error)")
      }
      XCTAssertEqual(try run.steps(), [1, 2])
      XCTAssertEqual(try run.adapter, adapter)
    }
  }

  // MARK: Other data

  private func differences(_ notes: [String]) -> [String] {
    notes.filter { $0.hasPrefix("warning: resuming, but ") && !$0.contains("train.steps was") }
  }

  func testOtherDataAreTold() throws {
    let run = try SmallRun(folder)
    try run.train(["train.steps=1"])
    XCTAssertEqual(differences(try run.train(["train.steps=2"]).notes), [])
    let text = String(decoding: try run.bytes("train.jsonl"), as: UTF8.self)
    let count = text.split(separator: "\n").count
    let fewer = text.split(separator: "\n").dropLast().map { $0 + "\n" }.joined()
    try place(fewer, "train.jsonl")
    let told = differences(try run.train(["train.steps=3"]).notes)
    XCTAssertEqual(told.count, 2, "\(told)")
    XCTAssertTrue(
      told[0].contains(
        "the content of \(folder)/train.jsonl has changed: it had \(text.utf8.count) bytes, has \(fewer.utf8.count):"),
      told[0])
    XCTAssertTrue(told[1].contains("there were \(count) records to train on, are \(count - 1): "), told[1])
    for line in told { XCTAssertTrue(line.hasSuffix("put the data back, or begin afresh by --resume never"), line) }
    XCTAssertEqual(differences(try run.train(["train.steps=4"]).notes), [], "told once")
  }

  func testOtherRecordsThatAreLeftOutAreTold() throws {
    let run = try SmallRun(folder)
    let text = String(decoding: try run.bytes("train.jsonl"), as: UTF8.self)
    let skip = ["data.on_error=skip"]
    try run.train(skip + ["train.steps=1"])
    try place(text + "{\"conversations\": 5}\n", "train.jsonl")
    let told = differences(try run.train(skip + ["train.steps=2"]).notes)
    XCTAssertEqual(told.count, 2, "\(told)")
    XCTAssertTrue(told[1].contains("0 faulty records were left out, 1 are: "), told[1])
  }
}
