import Adapters
import Batching
import Datasets
import Foundation
import Ground
import Models
import Parallel
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Training

/// Heads on frozen features: their steps against torch, features that are computed once, bits that depend on no rank.
final class HeadTrainingTests: XCTestCase {
  private struct Run: Sendable {
    let golden: LabelledGolden
    let figures: JSON
    let kind: String
    var shape: HeadShape
    var keeps = true
    var microBatch = 3

    init(_ kind: String) throws {
      golden = try LabelledGolden("bert")
      figures = try JSON(contentsOf: golden.folder + "/heads.json")
      self.kind = kind
      shape =
        kind == "mlp" ? HeadShape(hidden: 16, layer: 1, pool: .cls) : HeadShape(hidden: nil, layer: -1, pool: .mean)
    }

    func start(_ communicator: any Communicator) throws -> (Trainer, any Backend) {
      let backend = try CPUBackend(threads: 1)
      let folder = try ModelFolder(golden.folder + "/model").probing(golden.labels, .singleLabel, shape)
      let adapted = try AdaptedModel(folder, methods: [:])
      try adapted.loadWeights(adapter: nil, seed: 0, precision: .float32, backend: backend)
      // Where the reference began: an MLP of its own, a linear head of zeros.
      let first = try SafeTensorsFile(golden.folder + "/heads.safetensors")
      for parameter in adapted.trainable {
        parameter.value =
          kind == "mlp"
          ? backend.tensor(try first.floats(parameter.name), parameter.shape) : backend.zeros(parameter.shape)
      }
      let setting = figures["setting"] ?? .null
      let steps = setting["steps"]?.integer ?? 0
      let plan = TrainingPlan(
        steps: steps, globalBatch: setting["global_batch"]?.integer ?? 0, microBatch: microBatch, seed: 0,
        parts: [
          .language: TrainingPlan.Part(
            learningRate: setting["learning_rate"]?.double ?? 0, weightDecay: setting["weight_decay"]?.double ?? 0)
        ],
        schedule: Schedule(shape: .linear, warmupSteps: setting["warmup_steps"]?.integer ?? 0, steps: steps),
        clipNorm: setting["clip_norm"]?.double, objectives: [LabelLoss(.singleLabel)])
      let states =
        keeps
        ? try StateCache(
          adapted.model, configuration: folder.configuration, pictures: "", memory: 1 << 20, folder: nil, backend)
        : nil
      return (Trainer(adapted, plan, states: states, communicator, backend), backend)
    }

    func train(ranks: Int = 1) throws -> (reports: [StepReport], weights: [String: [Float]]) {
      let run = self
      return try InProcessCommunicator.run(ranks) { communicator in
        let (trainer, backend) = try run.start(communicator)
        let examples = run.golden.examples
        let loader = Loader(
          sampler: try Sampler(counts: [examples.count], weights: [1], shuffle: false, seed: 0),
          plan: BatchPlan(globalBatch: trainer.plan.globalBatch, microBatch: trainer.plan.microBatch),
          steps: 1..<trainer.plan.steps + 1, rank: communicator.rank, of: communicator.count,
          makeSample: { index in
            Sample(
              LabelledTokens(ids: examples[index].ids, types: examples[index].types),
              label: .number(examples[index].label), feature: run.keeps ? .wanted(key: "\(index)") : nil,
              place: "example \(index)", index: index)
          })
        let reports = try (0..<trainer.plan.steps).map { _ in try trainer.trainStep(loader) }
        let weights = trainer.adapted.trainable.map { ($0.name, backend.read($0.value)) }
        return (reports, Dictionary(uniqueKeysWithValues: weights))
      }[0]
    }
  }

  func testTwelveStepsOfBothKinds() throws {
    for kind in ["linear", "mlp"] {
      let run = try Run(kind)
      let (reports, weights) = try run.train()
      let steps = try XCTUnwrap(run.figures[kind]?.array)
      XCTAssertEqual(reports.count, steps.count)
      for (report, wanted) in zip(reports, steps) {
        XCTAssertEqual(report.loss, try XCTUnwrap(wanted["loss"]?.double), accuracy: 1e-5, "\(kind) \(report.step)")
        let norm = try XCTUnwrap(wanted["grad_norm"]?.double)
        XCTAssertEqual(report.gradientNorm, norm, accuracy: 1e-4 * norm, "\(kind) \(report.step)")
      }
      XCTAssertEqual(
        weights.keys.sorted(),
        (kind == "mlp" ? ["head.dense.bias", "head.dense.weight"] : []) + ["head.output.bias", "head.output.weight"])
      // 24 texts: seen once in three steps, known from then on.
      XCTAssertEqual(reports.map { $0.lookups?.misses }, [8, 8, 8] + [Int](repeating: 0, count: 9))
      XCTAssertEqual(reports.map { $0.lookups?.hits }, [0, 0, 0] + [Int](repeating: 8, count: 9))
    }
  }

  func testTheSameBitsWithoutKeepingAndOnAnyNumberOfRanks() throws {
    for kind in ["linear", "mlp"] {
      var run = try Run(kind)
      let wanted = try run.train()
      for ranks in [2, 3] {
        let other = try run.train(ranks: ranks)
        XCTAssertEqual(other.weights, wanted.weights, "\(kind), \(ranks) ranks")
        XCTAssertEqual(other.reports.map(\.loss), wanted.reports.map(\.loss))
      }
      run.keeps = false
      XCTAssertEqual(try run.train().weights, wanted.weights, "\(kind), nothing kept")
      XCTAssertNil(try run.train().reports[0].lookups)
    }
  }

  func testWhatMakesNoSenseIsRefused() throws {
    let bert = try ModelFolder(LabelledGolden("bert").folder + "/model")
    let gpt2 = try ModelFolder(Golden("gpt2").modelFolder)
    func problem(
      _ folder: ModelFolder, on part: ModelPart? = nil, layer: Int = -1, _ pool: StatePool
    ) throws -> String {
      try fault {
        try folder.probing(["a", "b"], .singleLabel, HeadShape(hidden: nil, part: part, layer: layer, pool: pool))
          .makeModel()
      }.description
    }
    XCTAssertTrue(try problem(bert, .last).contains("separator (head.pool): use cls or mean"))
    XCTAssertTrue(try problem(gpt2, .cls).contains("(head.pool): use last or mean"))
    XCTAssertTrue(try problem(bert, layer: 3, .mean).contains("there is no layer 3 (head.layer)"))
    XCTAssertTrue(try problem(bert, layer: -4, .mean).contains("there is no layer -4 (head.layer)"))
    XCTAssertTrue(
      try problem(bert, on: .vision, .mean).contains("sees no pictures, so it has no vision part (head.on)"))
    let clip = try ModelFolder(Golden("llava-clip-llama").modelFolder)
    XCTAssertTrue(try problem(clip, .last).contains("have no end (head.pool): use mean or cls"))
    XCTAssertTrue(try problem(clip, on: .projector, .cls).contains("no class token (head.pool): use mean"))
    XCTAssertTrue(try problem(clip, on: .projector, layer: 0, .mean).contains("one output (head.layer)"))
    XCTAssertTrue(try problem(clip, on: .language, .cls).contains("(head.pool): use last or mean"))
    let siglip = try ModelFolder(Golden("llava-siglip-qwen2").modelFolder)
    XCTAssertTrue(try problem(siglip, .cls).contains("no class token (head.pool): use mean"))
  }
}
