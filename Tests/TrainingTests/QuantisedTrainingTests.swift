import Adapters
import Foundation
import Ground
import Models
import TestSupport
import Tensors
import Training
import XCTest

/// Training over 4-bit codes against PEFT over the values that bitsandbytes gives of the same codes.
final class QuantisedTrainingTests: XCTestCase {
  private func quantisedRun() throws -> GoldenRun {
    var run = try GoldenRun("llava-clip-llama", section: "nf4")
    run.quantised = [.language]
    return run
  }

  func testTwelveStepsFollowTheReference() throws {
    let quantises = try quantisedRun()
    var reads = quantises  // the codes that transformers saved
    (reads.modelFolder, reads.quantised) = (Golden.fixtures + "/nf4/model", [])
    for run in [quantises, reads] {
      for way in ProductKernels.tested {
        var run = run
        run.products = way
        let reports = try run.train(ranks: 1).reports
        XCTAssertEqual(reports.count, 12)
        for (report, wanted) in zip(reports, run.wantedSteps) {
          let place = "\(run.modelFolder), \(way), step \(report.step)"
          XCTAssertEqual(report.loss, try XCTUnwrap(wanted["loss"]?.double), accuracy: 1e-4, place)
          let norm = try XCTUnwrap(wanted["grad_norm"]?.double)
          XCTAssertEqual(report.gradientNorm, norm, accuracy: 1e-3 * norm, place)
          XCTAssertEqual(report.supervisedTokens, wanted["supervised_tokens"]?.integer, place)
        }
      }
    }
    // The codes matter: the same run over the weights themselves is farther away than the bound.
    var plain = quantises
    plain.quantised = []
    let first = try XCTUnwrap(quantises.wantedSteps[0]["loss"]?.double)
    XCTAssertGreaterThan(abs(try plain.train(ranks: 1, steps: 1).reports[0].loss - first), 1e-3)
  }

  func testBFloat16StaysNear() throws {
    var run = try quantisedRun()
    run.precision = .bfloat16
    for way in ProductKernels.tested {
      run.products = way
      for (report, wanted) in zip(try run.train(ranks: 1).reports, run.wantedSteps) {
        XCTAssertEqual(report.loss, try XCTUnwrap(wanted["loss"]?.double), accuracy: 5e-3, "\(way) \(report.step)")
      }
    }
  }

  func testTheSameBitsOnAnyNumberOfRanksAndThreads() throws {
    for precision in [DType.float32, .bfloat16] {
      var run = try quantisedRun()
      (run.dropout, run.precision) = (0.1, precision)
      let (reports, weights) = try run.train(ranks: 1)
      for (ranks, threads) in [(1, 2), (2, 1), (3, 1), (4, 1)] {
        run.threads = threads
        let (others, otherWeights) = try run.train(ranks: ranks)
        XCTAssertEqual(reports.map(\.loss), others.map(\.loss), "\(ranks) ranks, \(threads) threads")
        XCTAssertTrue(weights == otherWeights, "\(ranks) ranks, \(threads) threads")
      }
      run.recomputes = true
      XCTAssertTrue(try run.train(ranks: 1).weights == weights, "recomputed")
    }
  }

  func testWhatIsQuantised() throws {
    for (name, heads) in [("llava-clip-llama", "lm_head"), ("llava-siglip-qwen2", "lm_head"), ("gpt2", "lm_head")] {
      let folder = try ModelFolder(Golden(name).modelFolder)
      let methods: [ModelPart: any TuningMethod] = [
        .language: LoRASettings(rank: 2, alpha: 4, dropout: 0, targets: .allLinear)
      ]
      let adapted = try AdaptedModel(folder, methods: methods, quantised: [.vision, .language])
      let linear = Set(adapted.model.linears.map(\.weight.name))
      let quantised = Set(adapted.model.parameters.filter(\.isQuantised).map(\.name))
      XCTAssertFalse(quantised.isEmpty)
      XCTAssertTrue(quantised.isSubset(of: linear))
      for name in linear {
        let stays =
          name.hasPrefix(heads) || name.contains("multi_modal_projector") || name.contains("wte")
          || name.contains("embed_tokens")
        XCTAssertEqual(quantised.contains(name), !stays, name)
      }
      XCTAssertTrue(adapted.partsTable(learningRates: [:]).contains { $0.contains("lora r=2 α=4.0, nf4") })
    }
  }

  func testCodesAreNotTrained() throws {
    let folder = try ModelFolder(Golden("llava-clip-llama").modelFolder)
    for stages: [[ModelPart: any TuningMethod]] in [[[.language: .full]], [[.projector: .full], [.language: .full]]] {
      let fault = try fault { try AdaptedModel(folder, stages: stages, quantised: [.language]) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertEqual(fault.place, "train.parts.language.quantize")
    }
  }
}
