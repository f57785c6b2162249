import Checkpoints
import Foundation
import Ground
import Parallel
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Training

/// Every objective against the formulas of its reference, on any number of ranks and micro-batches of any size.
final class ObjectiveTests: FolderTests {
  private func compare(
    _ outcome: ObjectiveRun.Outcome, _ wanted: JSON, in folder: String = "objectives", _ place: String
  ) throws {
    let value = try XCTUnwrap(wanted["value"]?.double)
    XCTAssertEqual(outcome.reports[0].loss, value, accuracy: 1e-5 * value, place)
    let norms = try XCTUnwrap(wanted["gradient_norms"]?.object)
    let own = outcome.gradients.filter { !$0.key.hasPrefix("objective.") }
    XCTAssertEqual(Set(own.keys), Set(norms.keys), place)
    let largest = norms.values.compactMap(\.double).max() ?? 0
    for (name, gradient) in own where !name.hasSuffix("k_proj.bias") {
      let norm = try XCTUnwrap(norms[name]?.double)
      let found = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      XCTAssertEqual(found, norm, accuracy: 5e-5 * norm + 1e-7 * largest, "\(place): \(name)")
    }
    let file = try SafeTensorsFile(Golden.fixtures + "/\(folder)/golden.safetensors")
    let name = try XCTUnwrap(wanted["name"]?.string)
    if let gradient = own[ObjectiveRun.changed] {
      XCTAssertLessThan(relativeDistance(gradient, try file.floats("grad." + name)), 1e-5, place)
    }
    for (key, slope) in [("logit_scale", "scale_slope"), ("logit_bias", "bias_slope")] {
      guard let wanted = wanted[slope]?.double else { continue }
      let found = try XCTUnwrap(outcome.gradients.first { $0.key.hasSuffix(key) }, place)
      XCTAssertEqual(Double(found.value[0]), wanted, accuracy: 1e-5 * abs(wanted), "\(place): \(key)")
    }
  }

  private func cases() throws -> [JSON] { try XCTUnwrap(try ObjectiveRun(.null).figures["cases"]?.array) }

  func testValuesAndGradientsOfEveryObjective() throws {
    for wanted in try cases() {
      let name = try XCTUnwrap(wanted["name"]?.string)
      var run = try ObjectiveRun(wanted["objective"] ?? .null)
      // Which picture is the wrong one depends on what else is in the micro-batch.
      for micro in name == "image_contrast.shuffled" ? [14] : [1, 2, 14] {
        run.microBatch = micro
        let alone = try run.train()
        try compare(alone, wanted, "\(name), micro-batches of \(micro)")
        for ranks in [2, 3] {
          XCTAssertEqual(try run.train(ranks: ranks), alone, "\(name), micro-batches of \(micro), \(ranks) ranks")
        }
      }
    }
  }

  // MARK: Weights

  /// The run of a case of `make_weights.py`.
  private func weightedRun(_ keys: JSON, _ figures: JSON) throws -> ObjectiveRun {
    var run = try ObjectiveRun(keys)
    run.records = figures.integers("records")
    run.weights = try XCTUnwrap(figures["weights"]?.array).map { ($0.array ?? []).map { Float($0.double ?? -1) } }
    run.globalBatch = run.records.count
    return run
  }

  func testTokensThatCountAsTheirWeightsSay() throws {
    let figures = try JSON(contentsOf: Golden.fixtures + "/weights/golden.json")
    let cases = try XCTUnwrap(figures["cases"]?.array)
    XCTAssertEqual(cases.count, 4)
    for wanted in cases {
      var run = try weightedRun(wanted["objective"] ?? .null, figures)
      let name = try XCTUnwrap(wanted["name"]?.string)
      for micro in [1, 4, 11] {
        run.microBatch = micro
        let alone = try run.train()
        try compare(alone, wanted, in: "weights", "\(name), micro-batches of \(micro)")
        let told = run.records.flatMap { run.weights?[$0].dropFirst().filter { $0 > 0 } ?? [] }
        XCTAssertEqual(alone.reports[0].supervisedTokens, told.count)
        if name == "image_contrast" {
          XCTAssertNil(alone.reports[0].supervisedWeight)
        } else {
          let weight = told.reduce(0) { $0 + Double($1) }
          XCTAssertEqual(try XCTUnwrap(alone.reports[0].supervisedWeight), weight, accuracy: 1e-9, name)
        }
        for ranks in [2, 3] {
          XCTAssertEqual(try run.train(ranks: ranks), alone, "\(name), micro-batches of \(micro), \(ranks) ranks")
        }
      }
    }
  }

  func testWeightsThatAreAllOneChangeNoBit() throws {
    let figures = try JSON(contentsOf: Golden.fixtures + "/weights/golden.json")
    var run = try weightedRun(["cross_entropy": 1, "image_contrast": ["weight": 0.5, "against": "blank"]], figures)
    run.microBatch = 3
    func train(_ weights: [[Float]]) throws -> ObjectiveRun.Outcome {
      run.weights = weights
      return try run.train()
    }
    let given = try XCTUnwrap(run.weights)
    let ones = try train(given.map { $0.map { $0 > 0 ? 1 : 0 } })
    XCTAssertNil(ones.reports[0].supervisedWeight)
    // A power of two in all places is divided out again, bit by bit.
    let fours = try train(given.map { $0.map { $0 > 0 ? 4 : 0 } })
    XCTAssertEqual(fours.reports[0].supervisedWeight, 4 * Double(ones.reports[0].supervisedTokens))
    XCTAssertEqual(fours.reports[0].loss, ones.reports[0].loss)
    XCTAssertEqual(fours.gradients, ones.gradients)
    XCTAssertNotEqual(try train(given).gradients, ones.gradients)
  }

  func testTwelveStepsOfAMixture() throws {
    let run = try ObjectiveRun.curve()
    let outcome = try run.train()
    let steps = try XCTUnwrap(run.figures["curve"]?["steps"]?.array)
    XCTAssertEqual(outcome.reports.count, 12)
    for (report, wanted) in zip(outcome.reports, steps) {
      func close(_ found: Double?, _ key: JSON?, _ tolerance: Double, _ what: String) throws {
        let wanted = try XCTUnwrap(key?.double)
        XCTAssertEqual(
          try XCTUnwrap(found), wanted, accuracy: tolerance * max(wanted, 0.01), "\(what), step \(report.step)")
      }
      try close(report.loss, wanted["loss"], 1e-5, "loss")
      for (name, value) in wanted["losses"]?.object ?? [:] { try close(report.losses[name], value, 1e-5, name) }
      try close(report.gradientNorm, wanted["grad_norm"], 1e-4, "norm")
      for (part, value) in wanted["grad_norms"]?.object ?? [:] {
        try close(report.gradientNorms[part], value, 2e-4, part)
      }
      try close(report.learned["contrastive.logit_scale"], wanted["logit_scale"], 1e-5, "scale")
      XCTAssertEqual(report.counts["contrastive"], wanted["pairs"]?.integer)
      XCTAssertEqual(report.counts["embedding_mse"], wanted["pairs"]?.integer)
    }
    for ranks in [2, 3] { XCTAssertEqual(try run.train(ranks: ranks), outcome, "\(ranks) ranks") }
  }

  func testAMixtureGoesOnWhereItStopped() throws {
    let (run, folder) = (try ObjectiveRun.curve(), folder)
    let whole = try run.train()
    _ = try InProcessCommunicator.run(2) { communicator in
      let (trainer, backend) = try run.start(communicator)
      let loader = try run.loader(after: 0, communicator)
      for _ in 0..<6 { _ = try trainer.trainStep(loader) }
      try trainer.save(in: folder, configurationHash: "hash", extras: .object([:]), communicator, backend)
    }
    let rest = try InProcessCommunicator.run(3) { communicator in
      let (trainer, backend) = try run.start(communicator)
      try trainer.restore(Checkpoint(folder: folder + "/" + CheckpointFolder.name(6)), backend)
      let loader = try run.loader(after: 6, communicator)
      let reports = try (6..<12).map { _ in try trainer.trainStep(loader) }
      return ObjectiveRun.Outcome(reports, trainer, backend)
    }[0]
    XCTAssertEqual(rest.lines, Array(whole.lines[6...]))
    XCTAssertEqual(rest.weights, whole.weights)
    // A run that trains no temperature has no use for the checkpoint of one that does.
    var fixed = run
    fixed.keys = run.keys.with("contrastive", ["weight": 0.5])
    let (trainer, backend) = try fixed.start(SingleProcess())
    let found = try fault { try trainer.restore(Checkpoint(folder: folder + "/" + CheckpointFolder.name(6)), backend) }
    XCTAssertTrue(found.what.contains("'objective.contrastive.logit_scale'"), "\(found)")
  }

  // MARK: Odd batches

  func testWithoutAPairAnObjectiveIsZeroAndCountsNothing() throws {
    var run = try ObjectiveRun(
      [
        "cross_entropy": 1, "contrastive": ["learned": true], "siglip": [:], "embedding_mse": [:], "regions": [:],
        "image_contrast": [:],
      ])
    run.records = [6, 7, 8, 9]
    (run.globalBatch, run.microBatch) = (4, 2)
    let mixed = try run.train()
    for name in ["contrastive", "siglip", "embedding_mse", "regions", "image_contrast"] {
      XCTAssertEqual(mixed.reports[0].losses[name], 0, name)
      XCTAssertEqual(mixed.reports[0].counts[name], 0, name)
    }
    XCTAssertFalse(mixed.gradients.keys.contains { $0.hasPrefix("objective.") })
    run.keys = ["cross_entropy": 1]
    let plain = try run.train()
    XCTAssertEqual(mixed.reports[0].loss, plain.reports[0].loss)
    XCTAssertEqual(mixed.reports[0].gradientNorm, plain.reports[0].gradientNorm, accuracy: 1e-5)
    // Nothing at all to count: a step that changes nothing.
    run.keys = ["cross_entropy": 0, "contrastive": [:]]
    let idle = try run.train(ranks: 3)
    XCTAssertEqual(idle.reports[0].loss, 0)
    XCTAssertEqual(idle.reports[0].gradientNorm, 0)
    XCTAssertEqual(idle.gradients.count, 0)
  }

  func testOnePairAlone() throws {
    var run = try ObjectiveRun(["cross_entropy": 0, "contrastive": ["learned": true], "siglip": [:]])
    run.records = [0, 6]
    (run.globalBatch, run.microBatch) = (2, 1)
    let outcome = try run.train()
    XCTAssertEqual(try XCTUnwrap(outcome.reports[0].losses["contrastive"]), 0, accuracy: 1e-12)
    XCTAssertGreaterThan(try XCTUnwrap(outcome.reports[0].losses["siglip"]), 1)
    XCTAssertEqual(outcome.gradients["objective.contrastive.logit_scale"], [0])
    XCTAssertEqual(outcome.reports[0].counts, ["contrastive": 1, "siglip": 1])
    XCTAssertEqual(try run.train(ranks: 2), outcome)
  }

  func testAWeightOfZeroMeasuresAndTrainsNothing() throws {
    var run = try ObjectiveRun(
      [
        "cross_entropy": 1, "contrastive": ["weight": "0 to 1 over 1", "learned": true], "embedding_mse": ["weight": 0],
      ])
    run.steps = 2
    let outcome = try run.train()
    XCTAssertEqual(outcome.reports[0].losses.keys, ["cross_entropy", "contrastive"])
    XCTAssertEqual(outcome.reports[0].loss, try XCTUnwrap(outcome.reports[0].losses["cross_entropy"]))
    XCTAssertGreaterThan(try XCTUnwrap(outcome.reports[0].losses["contrastive"]), 1)
    XCTAssertEqual(outcome.reports[0].gradientNorms["objective"], 0)
    XCTAssertGreaterThan(try XCTUnwrap(outcome.reports[1].gradientNorms["objective"]), 0.1)
    XCTAssertGreaterThan(outcome.reports[1].loss, outcome.reports[0].loss + 1)
    run.keys = ["cross_entropy": "0 to 1 over 1"]
    let late = try run.train()
    XCTAssertEqual(late.reports.map(\.loss)[0], 0)
    XCTAssertEqual(late.reports[0].gradientNorm, 0)
    XCTAssertGreaterThan(late.reports[1].gradientNorm, 0.1)
  }

  // MARK: Measurements and remedies

  func testNormsOfObjectivesAddUpAndChangeNothing() throws {
    var run = try ObjectiveRun.curve()
    run.steps = 4
    let plain = try run.train()
    run.measuresEvery = 2
    let measured = try run.train(ranks: 2)
    XCTAssertEqual(measured.weights, plain.weights)
    XCTAssertEqual(measured.reports.map(\.gradientNorms), plain.reports.map(\.gradientNorms))
    XCTAssertEqual(measured.reports.map { $0.objectiveNorms.isEmpty }, [true, false, true, false])
    let (found, all) = (measured.reports[3].objectiveNorms, measured.reports[3].gradientNorms)
    XCTAssertEqual(found.keys, ["cross_entropy", "contrastive", "embedding_mse"])
    for part in ["vision", "projector", "language"] {
      let parts = found.values.compactMap { $0[part] }
      let whole = try XCTUnwrap(all[part])
      XCTAssertEqual(parts.count, 3)
      // The triangle has to close.
      XCTAssertLessThanOrEqual(whole, parts.reduce(0, +) * (1 + 1e-6), part)
      XCTAssertGreaterThanOrEqual(whole, 2 * parts[0] - parts.reduce(0, +) - 1e-6, part)
    }
    // Alone, an objective has the norms that a run of it alone has.
    var alone = run
    (alone.steps, alone.measuresEvery) = (1, 0)
    alone.keys = ["cross_entropy": 0, "contrastive": ["weight": 0.5, "learned": true]]
    let wanted = try alone.train().reports[0].gradientNorms
    run.measuresEvery = 1
    let first = try run.train().reports[0]
    for part in ["vision", "projector", "language"] {
      XCTAssertEqual(first.objectiveNorms["contrastive"]?[part] ?? .nan, wanted[part] ?? .nan, accuracy: 1e-6)
    }
    XCTAssertEqual(first.updateSizes, ["vision": 0, "projector": 0, "language": 0], "the first rate of a warm-up is 0")
    for (_, size) in measured.reports[3].updateSizes { XCTAssertTrue((1e-4...1e-1).contains(size), "\(size)") }
    XCTAssertEqual(measured.reports[3].updateSizes.count, 3)
  }

  func testBalancedPartsHaveGradientsInProportionToTheirWeights() throws {
    var run = try ObjectiveRun(["cross_entropy": 1])
    let plain = try run.train()
    run.isBalanced = true
    let balanced = try run.train()
    XCTAssertEqual(plain.reports[0].gradientNorms, balanced.reports[0].gradientNorms, "norms are those before")
    func ratio(_ outcome: ObjectiveRun.Outcome, _ prefix: (String) -> Bool) -> Double {
      func norm(_ values: [String: [Float]]) -> Double {
        values.filter { prefix($0.key) }.values.joined().reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      }
      return norm(outcome.gradients) / norm(outcome.weights)
    }
    let parts: [(String) -> Bool] = [
      { $0.contains("vision_tower") }, { $0.contains("projector") },
      { $0.contains("language_model") || $0.contains("lm_head") },
    ]
    let before = parts.map { ratio(plain, $0) }
    let after = parts.map { ratio(balanced, $0) }
    XCTAssertGreaterThan(before.max()! / before.min()!, 1.5)
    for ratio in after { XCTAssertEqual(ratio, after[0], accuracy: 1e-5 * after[0]) }
    XCTAssertEqual(after[0], pow(before.reduce(1, *), 1.0 / 3), accuracy: 1e-4 * after[0])
  }

  func testDroppedTextDependsOnTheSampleAlone() throws {
    var run = try ObjectiveRun(["cross_entropy": 1])
    run.textDropout = 0.4
    let whole = try run.train()
    XCTAssertEqual(try run.train(ranks: 2), whole)
    run.microBatch = 1
    let single = try run.train(ranks: 3)
    XCTAssertEqual(single.reports[0].loss, whole.reports[0].loss, accuracy: 1e-5 * whole.reports[0].loss)
    run.textDropout = nil
    let plain = try run.train().reports[0].loss
    XCTAssertGreaterThan(abs(single.reports[0].loss - plain), 1e-3)
    run.textDropout = 1
    XCTAssertGreaterThan(abs(try run.train().reports[0].loss - plain), 1e-3)
  }
}
