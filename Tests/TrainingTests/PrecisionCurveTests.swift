import Foundation
import SafeTensors
import Tensors
import TestSupport
import XCTest

/// The loss of fifty steps in float32 and in bfloat16, of the golden models and of transformers + PEFT.
///
/// LoRA on the language model and a fully trained projector, the vision tower frozen. The weights of the goldens are
/// float32 and have to be rounded for bfloat16, which alone can move a loss by more than the bound; published models
/// hold bfloat16. So one model is taken as it is, and both with weights that bfloat16 holds exactly.
final class PrecisionCurveTests: FolderTests {
  private let models = ["llava-clip-llama", "llava-siglip-qwen2"]
  /// How far apart the losses of a step may be, in nats a token.
  private let bound = 2e-3

  func testFloat32FollowsTheReference() throws {
    for name in models {
      let run = try GoldenRun(name, section: "curve")
      let reports = try run.train(ranks: 1).reports
      XCTAssertEqual(reports.count, 50)
      for (report, wanted) in zip(reports, run.wantedSteps) {
        let place = "\(name) step \(report.step)"
        XCTAssertEqual(report.loss, try XCTUnwrap(wanted["loss"]?.double), accuracy: 1e-5, place)
        let norm = try XCTUnwrap(wanted["grad_norm"]?.double)
        XCTAssertEqual(report.gradientNorm, norm, accuracy: 1e-3 * norm, place)
        XCTAssertEqual(report.supervisedTokens, wanted["supervised_tokens"]?.integer, place)
      }
    }
  }

  func testBFloat16StaysNearTheReference() throws {
    let run = try GoldenRun("llava-clip-llama", section: "curve")
    try compareBFloat16(run, with: run.wantedSteps.map { try XCTUnwrap($0["loss"]?.double) })
  }

  func testBFloat16StaysNearFloat32OfTheSameWeights() throws {
    for name in models {
      var run = try GoldenRun(name, section: "curve")
      run.modelFolder = try roundedModel(run.golden)
      try compareBFloat16(run, with: try run.train(ranks: 1).reports.map(\.loss))
    }
  }

  /// Trains in bfloat16 in every way that this processor can multiply.
  private func compareBFloat16(_ float32: GoldenRun, with wanted: [Double]) throws {
    var run = float32
    run.precision = .bfloat16
    for way in ProductKernels.tested {
      run.products = way
      let found = try run.train(ranks: 1).reports.map(\.loss)
      let place = "\(run.modelFolder), \(way)"
      XCTAssertEqual(found.count, 50, place)
      for (step, (loss, wanted)) in zip(found, wanted).enumerated() {
        XCTAssertEqual(loss, wanted, accuracy: bound, "\(place), step \(step + 1)")
      }
      XCTAssertLessThan(found[49], found[0] - 1, "\(place): nothing was learnt")
      let farthest = zip(found, wanted).map { abs($0 - $1) }.max() ?? 0
      XCTAssertGreaterThan(farthest, 1e-5, "\(place): nothing was rounded")
    }
  }

  /// A copy of a golden's model with every weight rounded to bfloat16, and stored so.
  private func roundedModel(_ golden: Golden) throws -> String {
    let copy = folder + "/" + (golden.folder as NSString).lastPathComponent
    try FileManager.default.copyItem(atPath: golden.modelFolder, toPath: copy)
    let file = copy + "/model.safetensors"
    let backend = try CPUBackend(threads: 1)
    let rounded = try SafeTensorsFile(file).stored().map { tensor in
      let values = tensor.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      let narrow = backend.cast(backend.tensor(values, tensor.shape), to: .bfloat16)
      return StoredTensor(tensor.name, .bfloat16, tensor.shape, backend.withBytes(of: narrow) { Array($0) })
    }
    try writeStored(rounded, to: file)
    return copy
  }
}
