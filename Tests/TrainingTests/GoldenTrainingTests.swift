import Adapters
import Foundation
import Ground
import Tensors
import TestSupport
import Training
import XCTest

/// Training curves against transformers + PEFT.
final class GoldenTrainingTests: XCTestCase {
  func testTwelveStepsOfLoRA() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "gpt2"] {
      let run = try GoldenRun(name, section: "lora")
      let (reports, weights) = try run.train(ranks: 1)
      XCTAssertEqual(reports.count, 12)
      try compare(reports, run)
      try compareFinalAdapter(weights, run)
    }
  }

  func testThreeStepsOfFullTraining() throws {
    let run = try GoldenRun("llava-siglip-qwen2", section: "full")
    let (reports, weights) = try run.train(ranks: 1)
    XCTAssertEqual(reports.count, 3)
    try compare(reports, run)
    // How far every parameter has moved; biases of keys get gradients of rounding alone.
    let (trainer, backend) = try run.start(SingleRank.communicator)
    let changes = try XCTUnwrap(run.golden.json["full"]?["change_norms"]?.object)
    XCTAssertEqual(Set(changes.keys), Set(weights.keys))
    for parameter in trainer.adapted.trainable where !parameter.name.hasSuffix("k_proj.bias") {
      let before = backend.read(parameter.value)
      let after = try XCTUnwrap(weights[parameter.name])
      let change = zip(after, before).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
      let wanted = try XCTUnwrap(changes[parameter.name]?.double)
      XCTAssertEqual(change, wanted, accuracy: 2e-3 * wanted + 1e-7, parameter.name)
    }
  }

  private func compare(_ reports: [StepReport], _ run: GoldenRun) throws {
    for (report, wanted) in zip(reports, run.wantedSteps) {
      let place = "\(run.golden.folder) step \(report.step)"
      func figure(_ key: String) throws -> Double { try XCTUnwrap(wanted[key]?.double, "\(key), \(place)") }
      XCTAssertEqual(report.loss, try figure("loss"), accuracy: 1e-5 * (try figure("loss")), place)
      XCTAssertEqual(report.gradientNorm, try figure("grad_norm"), accuracy: 2e-4 * (try figure("grad_norm")), place)
      XCTAssertEqual(report.supervisedTokens, wanted["supervised_tokens"]?.integer, place)
      XCTAssertEqual(report.tokens, wanted["tokens"]?.integer, place)
      XCTAssertEqual(report.images, wanted["images"]?.integer ?? 0, place)
      for (part, rate) in wanted["learning_rates"]?.object ?? [:] {
        XCTAssertEqual(try XCTUnwrap(report.learningRates[part]), try XCTUnwrap(rate.double), accuracy: 1e-12, place)
      }
      for (part, norm) in wanted["grad_norms"]?.object ?? [:] {
        let norm = try XCTUnwrap(norm.double)
        XCTAssertEqual(try XCTUnwrap(report.gradientNorms[part]), norm, accuracy: 2e-4 * norm, place)
      }
    }
  }

  private func compareFinalAdapter(_ weights: [String: [Float]], _ run: GoldenRun) throws {
    let files = try AdapterReader(run.golden.folder + "/adapter_final")
    XCTAssertEqual(Set(files.values.keys), Set(weights.keys.map { "base_model.model." + $0 }))
    for (name, values) in weights {
      let wanted = try XCTUnwrap(files.values["base_model.model." + name])
      XCTAssertLessThan(relativeDistance(values, wanted), 1e-3, "\(run.golden.folder): \(name)")
    }
  }

  func testTheSameBitsOnAnyNumberOfRanksAndThreads() throws {
    var run = try GoldenRun("llava-clip-llama", section: "lora")
    run.dropout = 0.1
    let (reports, weights) = try run.train(ranks: 1)
    for (ranks, threads) in [(1, 2), (2, 1), (3, 1), (4, 1), (8, 1)] {
      run.threads = threads
      let (others, otherWeights) = try run.train(ranks: ranks)
      XCTAssertEqual(reports.map(withoutTiming), others.map(withoutTiming), "\(ranks) ranks, \(threads) threads")
      XCTAssertEqual(weights, otherWeights, "\(ranks) ranks, \(threads) threads")
    }
    run.recomputes = true
    XCTAssertEqual(try run.train(ranks: 1).weights, weights, "recomputed")
    run.dropout = 0
    XCTAssertNotEqual(try run.train(ranks: 1).weights, weights, "dropout does something")
  }

  private func withoutTiming(_ report: StepReport) -> String {
    guard case .object(let members) = report.json else { return "" }
    return JSON.object(members.filter { !StepReport.timingKeys.contains($0.key) }).description
  }
}
