import Foundation
import Ground
import TestSupport
import XCTest

@testable import Training

/// A run that is told to go on from a checkpoint by name: another branch, which the one that is left does not disturb.
final class BranchTests: FolderTests {
  private let rate = ["train.parts.language.learning_rate=5.0e-3", "checkpoint.keep=2"]

  func testAnEarlierCheckpointBeginsABranchAndTheSameCommandGoesOnWithIt() throws {
    let run = try SmallRun(folder)
    try run.train()
    let (left, log) = try (run.metrics(), run.bytes("run/metrics.jsonl"))
    let third = TrainingRun.Resume.from(run.checkpoint(3))

    let first = try run.train(rate, resume: third, stopAfter: 5)
    XCTAssertEqual(first.ending, .stopped)
    XCTAssertTrue(first.notes.contains("resumed after step 3 from \(run.checkpoint(3))"), "\(first.notes)")
    XCTAssertTrue(
      first.notes.contains("the checkpoints after step 3 are now in \(folder)/run/earlier-1"), "\(first.notes)")
    XCTAssertEqual(try run.steps(), [4, 5])
    XCTAssertEqual(try run.loggedSteps(), Array(1...5))
    XCTAssertEqual(Array(try run.metrics()[..<3]), Array(left[..<3]))
    XCTAssertNotEqual(try run.metrics()[4], left[4])
    XCTAssertEqual(try run.steps("run/earlier-1"), [4, 5, 6])
    XCTAssertEqual(try run.bytes("run/earlier-1/metrics.jsonl"), log)
    XCTAssertTrue(run.exists("run/earlier-1/run.yaml"))

    // The checkpoint that it began from is gone by now.
    let second = try run.train(rate, resume: third, stopAfter: nil)
    XCTAssertEqual(second.ending, .finished)
    XCTAssertTrue(second.notes.contains("resumed after step 5 from \(run.checkpoint(5))"), "\(second.notes)")
    XCTAssertEqual(try run.loggedSteps(), Array(1...6))
    XCTAssertFalse(run.exists("run/earlier-2"))

    // Gone on with by itself it is still that branch.
    let longer = rate + ["train.steps=8"]
    XCTAssertTrue(try run.train(longer).notes.contains("resumed after step 6 from \(run.checkpoint(6))"))
    XCTAssertEqual(try run.steps(), [7, 8])
  }

  func testWithOtherSettingsItBeginsAgain() throws {
    let run = try SmallRun(folder)
    try run.train()
    let third = TrainingRun.Resume.from(run.checkpoint(3))
    try run.train(Array(rate[..<1]), resume: third)
    let again = try run.train(["train.parts.language.learning_rate=7.0e-3"], resume: third)
    XCTAssertTrue(again.notes.contains("resumed after step 3 from \(run.checkpoint(3))"), "\(again.notes)")
    XCTAssertTrue(again.notes.contains("the checkpoints after step 3 are now in \(folder)/run/earlier-2"))
    XCTAssertEqual(try run.steps("run/earlier-2"), [4, 5, 6])
    XCTAssertEqual(try run.steps(), Array(1...6))
  }

  func testACheckpointOfAnotherRunPutsTheWholeOwnOneAside() throws {
    let run = try SmallRun(folder)
    try run.train(["output=\(folder)/other"])
    try run.train(rate + ["train.steps=4"])
    let lines = try run.metrics()
    let foreign = TrainingRun.Resume.from(run.checkpoint(2, of: "other"))
    let first = try run.train(resume: foreign, stopAfter: 4)
    XCTAssertTrue(first.notes.contains("the earlier run of this output folder is now in \(folder)/run/earlier-1"))
    XCTAssertEqual(try run.metrics("run/earlier-1"), lines)
    XCTAssertEqual(try run.loggedSteps(), [3, 4])
    let second = try run.train(resume: foreign)
    XCTAssertTrue(second.notes.contains("resumed after step 4 from \(run.checkpoint(4))"), "\(second.notes)")
    XCTAssertEqual(try run.metrics(), Array(try run.metrics("other")[2...]), "the same bits")
    XCTAssertFalse(run.exists("run/earlier-2"))
  }

  func testNothingMovesWhenTheNamedOneCannotBeTakenUp() throws {
    let run = try SmallRun(folder)
    try run.train()
    let log = try run.bytes("run/metrics.jsonl")
    let wrong = ["train.parts.language.rank=4"]
    for (sets, folder) in [([], folder + "/nowhere"), (wrong, run.checkpoint(2))] {
      XCTAssertThrowsError(try run.train(sets, resume: .from(folder)))
      XCTAssertEqual(try run.steps(), Array(1...6))
      XCTAssertEqual(try run.bytes("run/metrics.jsonl"), log)
      XCTAssertFalse(run.exists("run/earlier-1"))
    }
  }
}
