import Adapters
import Checkpoints
import Foundation
import Ground
import Models
import Parallel
import Tensors
import TestSupport
import XCTest

@testable import Training

/// Checkpoints of a trainer: the same bits as without a stop, whatever the number of ranks.
final class ResumeTests: FolderTests {
  /// The figures of some steps without those of the clock, and the trained weights with the optimiser's state.
  private struct Outcome: Equatable, Sendable {
    var lines: [String]
    var state: [String: [UInt8]]
    var updates: [String: Int]
  }

  /// Trains the steps after `first` up to `last`, from the checkpoint of `first` where that is not 0, and saves.
  private func train(_ run: GoldenRun, ranks: Int, after first: Int, to last: Int, save: Bool = true) throws -> Outcome
  {
    let folder = folder
    return try InProcessCommunicator.run(ranks) { communicator in
      let (trainer, backend) = try run.start(communicator)
      if first > 0 {
        try trainer.restore(Checkpoint(folder: folder + "/" + CheckpointFolder.name(first)), backend)
        XCTAssertEqual(trainer.step, first)
      }
      let loader = try run.loader(after: first, communicator)
      let lines = try (first..<last).map { _ in
        let json = try trainer.trainStep(loader).json
        return JSON.object((json.object ?? [:]).filter { !StepReport.timingKeys.contains($0.key) }).description
      }
      if save {
        try trainer.save(in: folder, configurationHash: "hash", extras: ["own": "thing"], communicator, backend)
      }
      var outcome = Outcome(lines: lines, state: [:], updates: [:])
      for state in trainer.optimizer.states {
        let name = state.parameter.name
        outcome.state["weight \(name)"] = bits(state.parameter.value, backend)
        for tensor in state.tensors { outcome.state["\(tensor.name) \(name)"] = bits(tensor.value, backend) }
        outcome.updates[name] = state.updates
      }
      return outcome
    }[0]
  }

  func testAnotherNumberOfRanksGoesOnWithTheSameBits() throws {
    var run = try GoldenRun("llava-clip-llama", section: "lora")
    run.dropout = 0.1
    run.shuffle = true
    let whole = try train(run, ranks: 1, after: 0, to: 6, save: false)
    XCTAssertEqual(whole.lines.count, 6)
    for (before, after) in [(1, 3), (3, 1), (2, 2)] {
      let first = try train(run, ranks: before, after: 0, to: 4)
      let rest = try train(run, ranks: after, after: 4, to: 6)
      XCTAssertEqual(first.lines + rest.lines, whole.lines, "\(before), then \(after) ranks")
      XCTAssertEqual(rest.state, whole.state, "\(before), then \(after) ranks")
      XCTAssertEqual(rest.updates, whole.updates)
      XCTAssertNotEqual(first.state, whole.state)
    }
  }

  /// The pictures' parameters get no gradient in step 6 of this run: their counts of updates fall behind.
  func testParametersThatWereSkippedKeepTheirOwnCounts() throws {
    let run = try GoldenRun("llava-siglip-qwen2", section: "lora")
    let whole = try train(run, ranks: 2, after: 0, to: 8, save: false)
    XCTAssertEqual(Set(whole.updates.values), [7, 8])
    _ = try train(run, ranks: 2, after: 0, to: 7)
    let rest = try train(run, ranks: 1, after: 7, to: 8)
    XCTAssertEqual(rest.updates, whole.updates)
    XCTAssertEqual(rest.state, whole.state)
  }

  func testACheckpointDoesNotDependOnTheNumberOfRanks() throws {
    let run = try GoldenRun("gpt2", section: "lora")
    var contents: [[String: Data]] = []
    for ranks in [1, 3] {
      _ = try train(run, ranks: ranks, after: 0, to: 2)
      let path = folder + "/" + CheckpointFolder.name(2)
      let names = try FileManager.default.contentsOfDirectory(atPath: path)
      contents.append(try Dictionary(uniqueKeysWithValues: names.map { ($0, try readFile(path + "/" + $0)) }))
    }
    XCTAssertEqual(Set(contents[0].keys), Set(contents[1].keys))
    XCTAssertTrue(contents[0].keys.contains("manifest.json"))
    for (name, bytes) in contents[0] where name.hasPrefix("shard-") { XCTAssertEqual(contents[1][name], bytes, name) }
  }

  func testWhatACheckpointSays() throws {
    let run = try GoldenRun("gpt2", section: "lora")
    _ = try train(run, ranks: 1, after: 0, to: 2)
    let header = try Checkpoint(folder: folder + "/step-00000002").header
    XCTAssertEqual(header.step, 2)
    XCTAssertEqual(header.configurationHash, "hash")
    XCTAssertEqual(header.extras["own"], "thing")
    XCTAssertEqual(header.dataPosition["next_sample"], .integer(2 * run.globalBatch))
    XCTAssertEqual(header.seeds["train"], 0)
    XCTAssertEqual(header.extras["random"]?["step"], 2)
    XCTAssertEqual(header.extras["updates"]?.object?.count, 16)
  }

  func testACheckpointThatCannotBeWrittenLeavesNothing() throws {
    let run = try GoldenRun("gpt2", section: "lora")
    let (trainer, backend) = try run.start(SingleRank.communicator)
    // A disk that is full after a few bytes.
    let handler = signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    var small = rlimit(rlim_cur: 512, rlim_max: limit.rlim_max)
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &small)
    let result = Result {
      try trainer.save(in: folder, configurationHash: "hash", extras: [:], SingleRank.communicator, backend)
    }
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    signal(SIGXFSZ, handler)
    XCTAssertEqual(try fault { try result.get() }.kind, .cannotWrite)
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder), [])
  }

  // MARK: Checkpoints of something else

  private func refusal(_ run: GoldenRun, _ checkpoint: String) throws -> [Fault] {
    let checkpoint = try Checkpoint(folder: checkpoint)
    let (trainer, backend) = try run.start(SingleRank.communicator)
    let before = trainer.adapted.trainable.map { backend.read($0.value) }
    let faults = [
      try fault { try trainer.restore(checkpoint, backend) },
      try fault { try restoreWeights(of: trainer.adapted, from: checkpoint, backend) },
    ]
    XCTAssertEqual(trainer.adapted.trainable.map { backend.read($0.value) }, before, "nothing is half restored")
    XCTAssertEqual(trainer.step, 0)
    return faults
  }

  func testAnotherSetOfParametersIsRefused() throws {
    let lora = try GoldenRun("llava-siglip-qwen2", section: "lora")
    _ = try train(lora, ranks: 1, after: 0, to: 1)
    let full = try GoldenRun("llava-siglip-qwen2", section: "full")
    for fault in try refusal(full, folder + "/step-00000001") {
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertEqual(fault.place, folder + "/step-00000001")
    }
    let other = try refusal(full, folder + "/step-00000001")[0]
    XCTAssertTrue(other.what.contains("train different parameters, such as 'model."), "\(other)")
  }

  func testOtherShapesAreRefused() throws {
    let clip = try GoldenRun("llava-clip-llama", section: "lora")
    _ = try train(clip, ranks: 1, after: 0, to: 1)
    let gpt2 = try GoldenRun("gpt2", section: "lora")
    for fault in try refusal(gpt2, folder + "/step-00000001") { XCTAssertEqual(fault.kind, .badConfiguration) }
  }

  func testRestoredWeightsAreThoseThatWereSaved() throws {
    let run = try GoldenRun("gpt2", section: "lora")
    let saved = try train(run, ranks: 1, after: 0, to: 3)
    let (trainer, backend) = try run.start(SingleRank.communicator)
    try restoreWeights(of: trainer.adapted, from: Checkpoint(folder: folder + "/step-00000003"), backend)
    for parameter in trainer.adapted.trainable {
      XCTAssertEqual(
        bits(parameter.value, backend), saved.state["weight " + parameter.name], parameter.name)
    }
  }

  // MARK: Without a fixed order of sums

  func testSumsInAnyOrderGiveTheSameLossWithinRounding() throws {
    let run = try GoldenRun("llava-clip-llama", section: "lora")
    let wanted = try run.train(ranks: 1, steps: 6).reports
    var free = run
    free.isDeterministic = false
    for ranks in [1, 3] {
      let found = try free.train(ranks: ranks, steps: 6).reports
      XCTAssertEqual(found.map(\.step), wanted.map(\.step))
      for (found, wanted) in zip(found, wanted) {
        XCTAssertEqual(found.loss, wanted.loss, accuracy: 1e-6 * wanted.loss, "step \(found.step), \(ranks) ranks")
        XCTAssertEqual(
          found.gradientNorm, wanted.gradientNorm, accuracy: 1e-5 * wanted.gradientNorm, "step \(found.step)")
        XCTAssertEqual(found.supervisedTokens, wanted.supervisedTokens)
      }
    }
  }
}

private func bits(_ tensor: Tensor, _ backend: any Backend) -> [UInt8] { backend.withBytes(of: tensor) { Array($0) } }
