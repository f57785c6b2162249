import Adapters
import Datasets
import Foundation
import Ground
import Models
import Parallel
import RunFile
import SafeTensors
import Tensors
import TestSupport
import Training
import XCTest

/// Contrastive training of CLIP and SigLIP, LoRA on both towers beside whole projections, against transformers and PEFT.
final class PairTrainingTests: FolderTests {
  private struct PairRun: Sendable {
    let golden: PairGolden
    let figures: JSON
    var microBatch = 2
    var threads = 1
    var recomputes = false

    init(_ name: String) throws {
      golden = try PairGolden(name)
      figures = golden.json["lora"] ?? .null
    }

    var wanted: [JSON] { figures["steps"]?.array ?? [] }
    private var setting: JSON { figures["setting"] ?? .null }

    func methods() -> [ModelPart: any TuningMethod] {
      let lora = figures["lora"]
      let settings = LoRASettings(
        rank: lora?["r"]?.integer ?? 0, alpha: lora?["lora_alpha"]?.double ?? 0, dropout: 0,
        targets: .names((lora?["target_modules"]?.array ?? []).compactMap(\.string)))
      return [.vision: .lora(settings), .language: .lora(settings), .projector: .full]
    }

    var plan: TrainingPlan {
      let parts = ModelPart.allCases.map { part in
        let row = setting["parts"]?[part.rawValue]
        return (part, TrainingPlan.Part(learningRate: row?["learning_rate"]?.double ?? 0, weightDecay: 0))
      }
      let objective: any Objective = golden.golden.folder.hasSuffix("/clip") ? Contrastive() : SigLIP()
      return TrainingPlan(
        steps: 12, globalBatch: 6, microBatch: microBatch, seed: 0, parts: Dictionary(uniqueKeysWithValues: parts),
        schedule: Schedule(shape: .cosine, warmupSteps: 3, steps: 12), clipNorm: 1, recomputes: recomputes,
        objectives: [objective])
    }

    func adapted(_ adapter: String, _ backend: any Backend) throws -> AdaptedModel {
      let adapted = try AdaptedModel(golden.folder, methods: methods())
      try adapted.loadWeights(
        adapter: golden.golden.folder + "/" + adapter, seed: 0, precision: .float32, backend: backend)
      return adapted
    }

    func train(
      ranks: Int = 1, after: @escaping @Sendable (AdaptedModel, any Backend) throws -> Void = { _, _ in }
    ) throws -> (reports: [StepReport], scales: [Float], weights: [String: [Float]]) {
      let run = self
      return try InProcessCommunicator.run(ranks) { communicator in
        let backend = try CPUBackend(threads: run.threads)
        let adapted = try run.adapted("adapter_init", backend)
        let trainer = Trainer(adapted, run.plan, communicator, backend)
        let pixels = try run.golden.pixels(backend)
        let (values, size, dual) = (backend.read(pixels), pixels.shape[2], try XCTUnwrap(adapted.model.dual))
        let (ids, reading) = (run.golden.ids, dual.reading)
        let loader = Loader(
          sampler: try Sampler(counts: [ids.count], weights: [1], shuffle: false, seed: 0),
          plan: BatchPlan(globalBatch: run.plan.globalBatch, microBatch: run.plan.microBatch), steps: 1..<13,
          rank: communicator.rank, of: communicator.count,
          makeSample: { record in
            let area = 3 * size * size
            let picture = Pixels(
              values: Array(values[record * area..<(record + 1) * area]), height: size, width: size)
            return Sample(
              caption: ids[record], readAt: reading.position(in: ids[record]), picture: .pixels(picture, digest: nil),
              place: "pair \(record)", index: record)
          })
        var (reports, scales): ([StepReport], [Float]) = ([], [])
        for _ in 1...12 {
          reports.append(try trainer.trainStep(loader))
          scales.append(backend.read(dual.logitScale.value)[0])
        }
        if communicator.rank == 0 { try after(adapted, backend) }
        return (
          reports, scales,
          Dictionary(uniqueKeysWithValues: adapted.trainable.map { ($0.name, backend.read($0.value)) })
        )
      }[0]
    }
  }

  func testTwelveSteps() throws {
    for name in PairGolden.names {
      for recomputes in [false, true] {
        var run = try PairRun(name)
        run.recomputes = recomputes
        let adapter = "\(folder)/\(name)-\(recomputes)"
        let (reports, scales, _) = try run.train { adapted, backend in
          XCTAssertTrue(adapted.isAdapter)
          try adapted.saveAdapter(to: adapter, backend: backend)
        }
        XCTAssertEqual(reports.count, run.wanted.count)
        for (number, wanted) in run.wanted.enumerated() {
          let (report, place) = (reports[number], "\(name) step \(number + 1)")
          let (loss, norm) = (wanted["loss"]?.double ?? .nan, wanted["grad_norm"]?.double ?? .nan)
          XCTAssertEqual(report.loss, loss, accuracy: 1e-5 * loss, place)
          XCTAssertEqual(report.gradientNorm, norm, accuracy: 2e-4 * norm, place)
          XCTAssertEqual(
            Double(scales[number]), wanted["logit_scale"]?.double ?? .nan, accuracy: 1e-5, place)
          for part in ModelPart.allCases.map(\.rawValue) {
            let norm = wanted["grad_norms"]?[part]?.double ?? .nan
            XCTAssertEqual(report.gradientNorms[part] ?? .nan, norm, accuracy: 2e-4 * norm, "\(place) \(part)")
            let rate = wanted["learning_rates"]?[part]?.double ?? .nan
            XCTAssertEqual(report.learningRates[part] ?? .nan, rate, accuracy: 1e-9, "\(place) \(part)")
          }
        }
        try compareFiles(adapter, with: run)
      }
    }
  }

  /// The same keys as PEFT's file and the scale and bias beside them, the same numbers.
  private func compareFiles(_ adapter: String, with run: PairRun) throws {
    let own = try SafeTensorsFile(adapter + "/adapter_model.safetensors")
    let theirs = try SafeTensorsFile(run.golden.golden.folder + "/adapter_final/adapter_model.safetensors")
    let scales = ["base_model.model.logit_scale", "base_model.model.logit_bias"].filter { own.entries[$0] != nil }
    XCTAssertEqual(Set(own.entries.keys).subtracting(scales), Set(theirs.entries.keys))
    for name in theirs.entries.keys {
      XCTAssertEqual(own.entries[name]?.shape, theirs.entries[name]?.shape, name)
      XCTAssertLessThan(relativeDistance(try own.floats(name), try theirs.floats(name)), 1e-3, name)
    }
    let after = (run.figures["after"]?.array ?? []).compactMap(\.double)
    XCTAssertEqual(scales.count, after.count)
    for (name, wanted) in zip(scales, after) {
      XCTAssertEqual(Double(try own.floats(name)[0]), wanted, accuracy: 1e-5, name)
    }
    // What PEFT saved and what was saved here are read alike.
    let backend = try CPUBackend(threads: 1)
    let theirModel = try run.adapted("adapter_final", backend)
    let found = try AdaptedModel.methods(ofAdapter: adapter, for: run.golden.folder)
    XCTAssertEqual(Set(found.keys), [.vision, .language])
    let ownModel = try AdaptedModel(run.golden.folder, methods: run.methods())
    try ownModel.loadWeights(adapter: adapter, seed: 0, precision: .float32, backend: backend)
    for (a, b) in zip(ownModel.tuned, theirModel.tuned) where !a.name.hasPrefix("logit_") {
      XCTAssertLessThan(relativeDistance(backend.read(a.value), backend.read(b.value)), 1e-3, a.name)
    }
  }

  /// Any number of ranks and threads: the same bits. Another size of micro-batch: the same to rounding.
  func testRanksThreadsAndMicroBatches() throws {
    for name in PairGolden.names {
      let run = try PairRun(name)
      let alone = try run.train()
      for (ranks, threads) in [(2, 1), (3, 2)] {
        var other = run
        other.threads = threads
        let found = try other.train(ranks: ranks)
        XCTAssertEqual(found.reports.map(\.loss), alone.reports.map(\.loss), name)
        for (parameter, values) in alone.weights {
          XCTAssertTrue(sameBits(values, found.weights[parameter] ?? []), "\(name) on \(ranks) ranks: \(parameter)")
        }
      }
      for microBatch in [1, 6] {
        var other = run
        other.microBatch = microBatch
        for (own, found) in zip(alone.reports, try other.train().reports) {
          XCTAssertEqual(found.loss, own.loss, accuracy: 1e-5 * own.loss, "\(name) \(microBatch)")
        }
      }
    }
  }
}
