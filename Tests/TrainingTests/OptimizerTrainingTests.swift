import Checkpoints
import Foundation
import Ground
import Parallel
import RunFile
import Tensors
import TestSupport
import XCTest

@testable import Training

/// Twelve steps of a whole model by each rule against the reference, and their checkpoints.
final class OptimizerTrainingTests: FolderTests {
  private static let runs = [
    "adamw", "adamw8bit", "adafactor", "adafactor_scaled", "sgd", "sgd_momentum", "sgd_nesterov", "lion", "layer_decay",
    "ema", "lora_plus",
  ]

  func testTwelveStepsOfEveryRule() throws {
    for name in OptimizerTrainingTests.runs {
      let run = try GoldenRun(rule: name)
      let (reports, weights) = try run.train(ranks: 1)
      XCTAssertEqual(reports.count, 12, name)
      // Where a mean gradient is as good as zero, Lion's step follows the sign of its rounding.
      let tolerance = name == "lion" ? (loss: 2e-4, norm: 2e-2) : (loss: 2e-5, norm: 1e-3)
      for (report, wanted) in zip(reports, run.wantedSteps) {
        let (loss, norm) = (try XCTUnwrap(wanted["loss"]?.double), try XCTUnwrap(wanted["grad_norm"]?.double))
        XCTAssertEqual(report.loss, loss, accuracy: tolerance.loss * loss, "\(name) step \(report.step)")
        XCTAssertEqual(report.gradientNorm, norm, accuracy: tolerance.norm * norm, "\(name) step \(report.step)")
      }
      let norms = run.changeNorms()
      XCTAssertEqual(Set(norms.keys), Set(weights.keys))
      let (trainer, backend) = try run.start(SingleRank.communicator)
      for parameter in trainer.adapted.trainable where !parameter.name.hasSuffix("k_proj.bias") {
        let change = distance(try XCTUnwrap(weights[parameter.name]), backend.read(parameter.value))
        let wanted = try XCTUnwrap(norms[parameter.name])
        XCTAssertEqual(change, wanted, accuracy: 1e-2 * wanted + 1e-6, "\(name): \(parameter.name)")
      }
    }
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Double {
    zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
  }

  /// Trains the steps after `first` up to `last`, from the checkpoint of `first` where that is not 0, and saves.
  /// - Returns: the bytes of the weights, of all that the rule keeps, and of the averages.
  private func train(_ run: GoldenRun, ranks: Int, after first: Int, to last: Int) throws -> [String: [UInt8]] {
    let folder = folder
    return try InProcessCommunicator.run(ranks) { communicator in
      let (trainer, backend) = try run.start(communicator)
      if first > 0 { try trainer.restore(Checkpoint(folder: folder + "/" + CheckpointFolder.name(first)), backend) }
      let loader = try run.loader(after: first, communicator)
      for _ in first..<last { _ = try trainer.trainStep(loader) }
      try trainer.save(in: folder, configurationHash: "hash", extras: [:], communicator, backend)
      var state: [String: [UInt8]] = [:]
      for own in trainer.optimizer.states {
        state[own.parameter.name] = backend.withBytes(of: own.parameter.value) { Array($0) }
        for tensor in own.tensors {
          state["\(tensor.name) \(own.parameter.name)"] = backend.withBytes(of: tensor.value) { Array($0) }
        }
      }
      for average in trainer.average?.averages ?? [] {
        state["average \(average.parameter.name)"] = backend.withBytes(of: average.value) { Array($0) }
      }
      return state
    }[0]
  }

  func testEveryRuleGoesOnWithTheSameBitsOnAnyNumberOfRanks() throws {
    for name in ["adamw8bit", "adafactor_scaled", "sgd_nesterov", "lion", "layer_decay"] {
      var run = try GoldenRun(rule: name)
      run.average = MovingAverage.Settings(decay: 0.9)
      let whole = try train(run, ranks: 1, after: 0, to: 4)
      let first = try train(run, ranks: 2, after: 0, to: 2)
      let rest = try train(run, ranks: 3, after: 2, to: 4)
      XCTAssertEqual(Set(rest.keys), Set(whole.keys))
      for (key, bytes) in whole { XCTAssertEqual(rest[key], bytes, "\(name): \(key)") }
      XCTAssertNotEqual(first, whole)
    }
  }

  func testBFloat16ProductsKeepMastersInFloat32() throws {
    var run = try GoldenRun(rule: "adamw")
    let float32 = try run.train(ranks: 1)
    run.precision = .bfloat16
    let whole = try train(run, ranks: 1, after: 0, to: 4)
    _ = try train(run, ranks: 2, after: 0, to: 2)
    let rest = try train(run, ranks: 1, after: 2, to: 4)
    for (key, bytes) in whole { XCTAssertEqual(rest[key], bytes, key) }
    run.recomputes = true
    XCTAssertEqual(try train(run, ranks: 2, after: 0, to: 4), whole, "recomputed")
    run.recomputes = false
    let bfloat16 = try run.train(ranks: 1)
    for (found, wanted) in zip(bfloat16.reports, float32.reports) {
      XCTAssertEqual(found.loss, wanted.loss, accuracy: 2e-2, "step \(found.step)")
    }
    XCTAssertNotEqual(bfloat16.reports.map(\.loss), float32.reports.map(\.loss))
    // The masters hold what bf16 cannot.
    let backend = try CPUBackend(threads: 1)
    for name in ["model.language_model.layers.0.mlp.up_proj.weight", "model.multi_modal_projector.linear_1.weight"] {
      let values = try XCTUnwrap(bfloat16.weights[name])
      let tensor = backend.tensor(values, [values.count])
      XCTAssertNotEqual(backend.read(backend.cast(tensor, to: .bfloat16)), values, name)
    }
  }

  func testTheAverageIsWhatTheReferenceAverages() throws {
    let run = try GoldenRun(rule: "ema")
    _ = try train(run, ranks: 1, after: 0, to: 12)
    let checkpoint = try Checkpoint(folder: folder + "/step-00000012")
    let (trainer, backend) = try run.start(SingleRank.communicator)
    let before = Dictionary(
      uniqueKeysWithValues: trainer.adapted.trainable.map { ($0.name, backend.read($0.value)) })
    try restoreWeights(of: trainer.adapted, from: checkpoint, taking: .average, backend)
    let norms = run.changeNorms(ofAverage: true)
    XCTAssertEqual(Set(norms.keys), Set(before.keys))
    for parameter in trainer.adapted.trainable where !parameter.name.hasSuffix("k_proj.bias") {
      let wanted = try XCTUnwrap(norms[parameter.name])
      let change = distance(backend.read(parameter.value), try XCTUnwrap(before[parameter.name]))
      XCTAssertEqual(change, wanted, accuracy: 2e-3 * wanted + 1e-7, parameter.name)
    }
  }

  /// The average of a stage begins with the weights that the stage before left, also where the run was resumed there.
  func testTheAverageOfAStageThatIsResumedAtItsStart() throws {
    var run = try GoldenRun(rule: "lion")
    _ = try train(run, ranks: 1, after: 0, to: 2)
    run.optimizer = SGD(OptimizerConfiguration())
    run.average = MovingAverage.Settings(decay: 0.9)
    run.stepsBefore = 2
    let (trainer, backend) = try run.start(SingleRank.communicator)
    let untrained = trainer.average?.averages.map { backend.read($0.value) }
    try trainer.restore(Checkpoint(folder: folder + "/step-00000002"), backend)
    let averages = try XCTUnwrap(trainer.average).averages
    XCTAssertEqual(averages.map { backend.read($0.value) }, averages.map { backend.read($0.parameter.value) })
    XCTAssertNotEqual(averages.map { backend.read($0.value) }, untrained)
    XCTAssertEqual(trainer.step, 2)
  }

  // MARK: Checkpoints of something else

  func testCheckpointsOfAnotherRuleAreRefused() throws {
    _ = try train(try GoldenRun(rule: "lion"), ranks: 1, after: 0, to: 1)
    let folder = folder + "/step-00000001"
    let (trainer, backend) = try GoldenRun(rule: "sgd").start(SingleRank.communicator)
    let other = try fault { try trainer.restore(Checkpoint(folder: folder), backend) }
    XCTAssertEqual(other.kind, .badConfiguration)
    XCTAssertEqual(other.what, "the checkpoint is of the optimizer 'lion', the run file asks for 'sgd'")
    // The same rule with other keys keeps other things.
    _ = try train(try GoldenRun(rule: "adafactor_scaled"), ranks: 1, after: 0, to: 2)
    let (plain, _) = try GoldenRun(rule: "adafactor").start(SingleRank.communicator)
    let keys = try fault { try plain.restore(Checkpoint(folder: self.folder + "/step-00000002"), backend) }
    XCTAssertTrue(keys.what.contains("'optimizer.first."), "\(keys)")
  }

  func testAveragesThatAreNotThere() throws {
    var run = try GoldenRun(rule: "sgd")
    _ = try train(run, ranks: 1, after: 0, to: 1)
    let checkpoint = try Checkpoint(folder: folder + "/step-00000001")
    run.average = MovingAverage.Settings(decay: 0.5)
    let (trainer, backend) = try run.start(SingleRank.communicator)
    let missing = try fault { try trainer.restore(checkpoint, backend) }
    XCTAssertEqual(missing.kind, .badConfiguration)
    XCTAssertTrue(missing.what.contains("has no averages of the weights"), "\(missing)")
    let none = try fault { try restoreWeights(of: trainer.adapted, from: checkpoint, taking: .average, backend) }
    XCTAssertEqual(none.what, "the checkpoint has no averages of the weights")
    _ = try train(run, ranks: 1, after: 0, to: 2)
    run.average = nil
    let (plain, _) = try run.start(SingleRank.communicator)
    let surplus = try fault { try plain.restore(Checkpoint(folder: folder + "/step-00000002"), backend) }
    XCTAssertTrue(surplus.what.contains("which the run file does not keep"), "\(surplus)")
  }
}
