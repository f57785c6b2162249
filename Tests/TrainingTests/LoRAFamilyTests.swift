import Adapters
import Foundation
import Ground
import Models
import Parallel
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Training

/// The variants of LoRA against PEFT: gradients, twelve steps, files both ways, merging.
final class LoRAFamilyTests: FolderTests {
  private func assertClose(
    _ values: [Double], _ wanted: [Double], _ tolerance: Double, _ about: String, line: UInt = #line
  ) {
    XCTAssertEqual(values.count, wanted.count, about, line: line)
    for (value, want) in zip(values, wanted) {
      XCTAssertEqual(value, want, accuracy: tolerance * abs(want), about, line: line)
    }
  }

  private func after(_ run: GoldenRun) -> [Double] { (run.figures["nll_after"]?.array ?? []).compactMap(\.double) }

  func testEveryGradientOfTheFirstStep() throws {
    for name in LoRAFamily.names where name != "gpt2-pissa" {
      let run = try GoldenRun(family: name)
      let (trainer, backend) = try run.start(SingleRank.communicator)
      let gradients = try run.gradients(trainer.adapted, records: run.wantedSteps[0].integers("records"), backend)
      let wanted = try XCTUnwrap(run.figures["gradients"]?.object)
      let parameters = LoRAFamily.sorted(trainer.adapted)
      XCTAssertEqual(parameters.map { LoRAFamily.place($0.name) }, wanted.keys.map { $0 }, name)
      for (index, parameter) in parameters.enumerated() {
        let place = "\(name): \(parameter.name)"
        guard let pair = wanted[LoRAFamily.place(parameter.name)]?.array, let norm = pair[0].double else {
          XCTAssertNil(gradients[parameter.name], place)
          continue
        }
        let own = try XCTUnwrap(gradients[parameter.name], place)
        // The gradient of a bias of keys is zero but for rounding.
        let tolerance = 1e-4 * norm + 1e-7
        XCTAssertEqual(own.reduce(0) { $0 + $1 * $1 }.squareRoot(), norm, accuracy: tolerance, place)
        let along = zip(own, LoRAFamily.spread(index, parameter.count)).reduce(0) { $0 + $1.0 * Double($1.1) }
        let size = (Double(parameter.count) / 3).squareRoot()
        XCTAssertEqual(along, try XCTUnwrap(pair[1].double), accuracy: tolerance * size, place)
      }
    }
  }

  func testTwelveStepsAndFilesBothWays() throws {
    for name in LoRAFamily.names {
      let run = try GoldenRun(family: name)
      let (trainer, backend) = try run.start(SingleRank.communicator)
      let (adapted, loader) = (trainer.adapted, try run.loader(after: 0, SingleRank.communicator))
      try checkCounts(adapted, run, name)
      for wanted in run.wantedSteps {
        let report = try trainer.trainStep(loader)
        let place = "\(name), step \(report.step)"
        for (own, key) in [(report.loss, "loss"), (report.gradientNorm, "grad_norm")] {
          let want = try XCTUnwrap(wanted[key]?.double)
          XCTAssertEqual(own, want, accuracy: (key == "loss" ? 1e-5 : 5e-4) * want, "\(key), \(place)")
        }
      }
      assertClose(try run.nlls(adapted.model, backend), after(run), 2e-4, name)
      try checkFiles(adapted, run, name, backend)
      let merged = folder + "/merged-" + name
      try adapted.exportMerged(to: merged, layout: .hub, backend: backend)
      let whole = try AdaptedModel(ModelFolder(merged), methods: [:])
      try whole.loadWeights(adapter: nil, seed: 0, precision: .float32, backend: backend)
      assertClose(try run.nlls(whole.model, backend), after(run), 2e-4, "\(name), merged")
    }
  }

  private func checkCounts(_ adapted: AdaptedModel, _ run: GoldenRun, _ name: String) throws {
    let trained = try XCTUnwrap(run.figures["trainable_parameters"]?.integer)
    let all = try XCTUnwrap(run.figures["all_parameters"]?.integer)
    XCTAssertTrue(
      adapted.parameterLine.hasPrefix("trainable params: \(grouped(trained)) || all params: \(grouped(all)) ||"),
      "\(name): \(adapted.parameterLine)")
    XCTAssertEqual(
      adapted.lowRankLayers.map(\.base.path).sorted(), run.figures["wrapped"]?.array?.compactMap(\.string), name)
  }

  /// What is saved has PEFT's names and numbers, and what PEFT saved computes here what it computes there.
  private func checkFiles(_ adapted: AdaptedModel, _ run: GoldenRun, _ name: String, _ backend: any Backend) throws {
    let theirs = LoRAFamily.folder(name)
    let mine = folder + "/" + name
    try adapted.saveAdapter(to: mine, backend: backend)
    let (own, wanted) = (try AdapterReader(mine).values, try AdapterReader(theirs).values)
    XCTAssertEqual(Set(own.keys), Set(wanted.keys), name)
    // Singular vectors have no sign of their own: there, what is computed is compared.
    for (key, values) in own where !run.isPiSSA {
      // Biases of keys get gradients of rounding alone: the middle third of c_attn's.
      let ends = key.hasSuffix("c_attn.base_layer.bias") ? values.count / 3 : 0
      let kept = values.indices.filter { ends == 0 || $0 < ends || $0 >= 2 * ends }
      let reference = try XCTUnwrap(wanted[key])
      XCTAssertLessThan(
        relativeDistance(kept.map { values[$0] }, kept.map { reference[$0] }), 1e-3, "\(name): \(key)")
    }
    for path in [theirs, mine] {
      let folder = try ModelFolder(run.modelFolder)
      let again = try AdaptedModel(folder, methods: AdaptedModel.methods(ofAdapter: path, for: folder))
      try again.loadWeights(adapter: path, seed: 5, precision: .float32, backend: backend)
      XCTAssertEqual(again.lowRankLayers.map(\.base.path), adapted.lowRankLayers.map(\.base.path), path)
      XCTAssertEqual(again.lowRankLayers.map(\.scale), adapted.lowRankLayers.map(\.scale), path)
      assertClose(try run.nlls(again.model, backend), after(run), path == theirs ? 2e-5 : 2e-4, path)
    }
  }

  /// The run file's own settings take up what PEFT saved, and go on from there.
  func testARunStartsFromPEFTsAdapter() throws {
    for name in LoRAFamily.names where name != "gpt2-pissa" {
      let run = try GoldenRun(family: name)
      let backend = try CPUBackend(threads: 1)
      let adapted = try AdaptedModel(ModelFolder(run.modelFolder), methods: run.methods())
      try adapted.loadWeights(
        adapter: LoRAFamily.folder(name), seed: 0, precision: .float32, backend: backend)
      assertClose(try run.nlls(adapted.model, backend), after(run), 2e-5, name)
    }
    var run = try GoldenRun(family: "gpt2-dora")
    run.dropout = 0.1
    let theirs = LoRAFamily.folder("gpt2-dora")
    for (change, key) in [
      ({ $0.hasMagnitudes = false }, "dora"), ({ $0.isRankStabilised = true }, "rslora"),
      ({ $0.biases = .none }, "bias"), ({ $0.biases = .all }, "bias"),
      ({ $0.rankPattern = PatternTable([.init("c_fc", 2)]) }, "rank_pattern"),
      ({ $0.alphaPattern = PatternTable([.init("c_fc", 2)]) }, "alpha_pattern"),
    ] as [((inout LoRASettings) -> Void, String)] {
      var settings = try XCTUnwrap(try run.methods()[.language] as? LoRASettings)
      change(&settings)
      let adapted = try AdaptedModel(ModelFolder(run.modelFolder), methods: [.language: settings])
      let fault = try fault(key) {
        try adapted.loadWeights(adapter: theirs, seed: 0, precision: .float32, backend: CPUBackend(threads: 1))
      }
      XCTAssertTrue(fault.what.hasPrefix("train.parts.language.\(key) is "), "\(fault)")
    }
  }

  /// With DoRA, patterns and dropout: any number of ranks and threads, recomputed or not, stopped or not.
  func testTheSameBits() throws {
    var run = try GoldenRun(family: "llava-dora")
    run.dropout = 0.2
    let weights = try run.train(ranks: 1, steps: 4).weights
    for (ranks, threads) in [(1, 2), (2, 1), (3, 1)] {
      run.threads = threads
      XCTAssertEqual(try run.train(ranks: ranks, steps: 4).weights, weights, "\(ranks) ranks, \(threads) threads")
    }
    run.recomputes = true
    XCTAssertEqual(try run.train(ranks: 1, steps: 4).weights, weights, "recomputed")
    run.dropout = 0
    XCTAssertNotEqual(try run.train(ranks: 1, steps: 4).weights, weights, "dropout does something")
  }

  /// PiSSA finds the same parts of the weights again when a run goes on.
  func testPiSSAOnAnyNumberOfThreads() throws {
    var run = try GoldenRun(family: "gpt2-pissa")
    let weights = try run.train(ranks: 1, steps: 3).weights
    run.threads = 3
    XCTAssertEqual(try run.train(ranks: 2, steps: 3).weights, weights)
  }

  /// bf16 weights: the curve stays as near to float32 as that of LoRA.
  func testDoRAOverHalfPrecisionWeights() throws {
    for name in ["llava-dora", "gpt2-dora"] {
      var run = try GoldenRun(family: name)
      run.precision = .bfloat16
      let (reports, _) = try run.train(ranks: 1)
      for (report, wanted) in zip(reports, run.wantedSteps) {
        let loss = try XCTUnwrap(wanted["loss"]?.double)
        XCTAssertEqual(report.loss, loss, accuracy: 4e-3 * loss, "\(name), step \(report.step)")
      }
    }
  }

  /// All layers, with dropout: gradients that come in 16 bits too.
  func testDoRAOfAllLayersOverHalfPrecisionWeights() throws {
    for dropout in [0, 0.1] {
      var run = try GoldenRun(family: "llava-dora")
      (run.targets, run.dropout) = (.allLinear, dropout)
      let wanted = try run.train(ranks: 1).reports
      run.precision = .bfloat16
      for (own, want) in zip(try run.train(ranks: 1).reports, wanted) {
        XCTAssertEqual(own.loss, want.loss, accuracy: 4e-3 * want.loss, "step \(own.step), dropout \(dropout)")
      }
    }
  }

  func testNoiseOnEmbeddings() throws {
    let run = try GoldenRun("llava-clip-llama", section: "lora")
    let backend = try CPUBackend(threads: 1)
    let noise = EmbeddingNoise(alpha: 5)
    let token = try ModelFolder(run.modelFolder).makeModel().eyes?.imageTokenID
    let samples = try (0..<3).map { try run.golden.sample($0, imageToken: token) }
    let stream = RandomStream([7])
    let whole = backend.read(noise(try .init(samples), first: 4, width: 48, stream, backend))
    var apart: [Float] = []
    for (index, sample) in samples.enumerated() {
      let own = backend.read(noise(try .init([sample]), first: 4 + index, width: 48, stream, backend))
      let bound = 5 / Double(own.count).squareRoot()
      XCTAssertLessThanOrEqual(Double(own.map(abs).max() ?? 0), bound)
      let square = own.reduce(0) { $0 + Double($1) * Double($1) } / Double(own.count)
      XCTAssertEqual(square, bound * bound / 3, accuracy: 0.1 * bound * bound / 3)
      apart += own
    }
    XCTAssertEqual(whole, apart, "a sample's noise is its own, however samples are packed")
    XCTAssertNotEqual(
      backend.read(noise(try .init(samples), first: 5, width: 48, stream, backend)), whole, "and its place's")
  }

  func testNoiseIsTheSameOnAnyNumberOfRanks() throws {
    var run = try GoldenRun("llava-clip-llama", section: "lora")
    let plain = try run.train(ranks: 1, steps: 3).weights
    run.noise = 5
    let weights = try run.train(ranks: 1, steps: 3).weights
    XCTAssertNotEqual(weights, plain)
    XCTAssertEqual(try run.train(ranks: 3, steps: 3).weights, weights)
  }
}
