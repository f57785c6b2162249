import Adapters
import Datasets
import Foundation
import Ground
import Models
import Parallel
import SafeTensors
import Tensors
import TestSupport
import Training
import XCTest

/// A training run of one way to tune a golden model, set up as the reference was; fixtures of its own, records of the model.
struct MethodRun: Sendable {
  let folder: String
  let figures: JSON
  let golden: Golden
  let methods: [ModelPart: any TuningMethod]
  var adapter: String?
  var threads = 1
  var recomputes = false
  /// Gives the model what no adapter holds.
  var prepare: @Sendable (AdaptedModel, any Backend) throws -> Void = { _, _ in }

  init(
    _ name: String, in area: String, _ language: (JSON) throws -> any TuningMethod, vision: (any TuningMethod)? = nil
  ) throws {
    folder = "\(Golden.fixtures)/\(area)/\(name)"
    figures = try JSON(contentsOf: folder + "/golden.json")
    golden = try Golden(figures["model"]?.string ?? "")
    var methods: [ModelPart: any TuningMethod] = [.language: try language(figures), .vision: vision ?? .frozen]
    if figures["setting"]?["parts"]?["projector"] != nil { methods[.projector] = .full }
    self.methods = methods
    let first = folder + "/adapter_init"
    adapter = FileManager.default.fileExists(atPath: first) ? first : nil
  }

  var plan: TrainingPlan {
    let setting = figures["setting"] ?? .null
    let parts = ModelPart.allCases.compactMap { part -> (ModelPart, TrainingPlan.Part)? in
      guard let row = setting["parts"]?[part.rawValue] else { return nil }
      let decay = row["weight_decay"]?.double ?? 0
      return (part, TrainingPlan.Part(learningRate: row["learning_rate"]?.double ?? 0, weightDecay: decay))
    }
    let steps = setting["steps"]?.integer ?? 0
    let warmup = ((setting["warmup_ratio"]?.double ?? 0) * Double(steps)).rounded(.up)
    return TrainingPlan(
      steps: steps, globalBatch: setting["global_batch"]?.integer ?? 0,
      microBatch: setting["micro_batch"]?.integer ?? 0,
      seed: 0, parts: Dictionary(uniqueKeysWithValues: parts),
      schedule: Schedule(shape: .cosine, warmupSteps: Int(warmup), steps: steps),
      clipNorm: setting["clip_norm"]?.double, recomputes: recomputes, isDeterministic: true)
  }

  func adapted(_ backend: any Backend) throws -> AdaptedModel {
    let adapted = try AdaptedModel(ModelFolder(golden.modelFolder), methods: methods)
    try adapted.loadWeights(adapter: adapter, seed: 0, precision: .float32, backend: backend)
    try prepare(adapted, backend)
    return adapted
  }

  func start(_ communicator: any Communicator) throws -> (Trainer, any Backend) {
    let backend = try CPUBackend(threads: threads)
    return (Trainer(try adapted(backend), plan, communicator, backend), backend)
  }

  func loader(after step: Int, _ communicator: any Communicator) throws -> Loader {
    let (golden, plan) = (golden, plan)
    let imageToken = try ModelFolder(golden.modelFolder).makeModel().eyes?.imageTokenID
    return Loader(
      sampler: try Sampler(counts: [golden.records.count], weights: [1], shuffle: false, seed: 0),
      plan: BatchPlan(globalBatch: plan.globalBatch, microBatch: plan.microBatch), steps: step + 1..<plan.steps + 1,
      rank: communicator.rank, of: communicator.count,
      makeSample: { try golden.sample($0, imageToken: imageToken) })
  }

  /// Trains on `ranks` ranks in this process and gives rank 0's reports and weights.
  func train(ranks: Int = 1, steps: Int? = nil) throws -> (reports: [StepReport], weights: [String: [Float]]) {
    let run = self
    return try InProcessCommunicator.run(ranks) { communicator in
      let (trainer, backend) = try run.start(communicator)
      let loader = try run.loader(after: 0, communicator)
      let reports = try (0..<(steps ?? run.plan.steps)).map { _ in try trainer.trainStep(loader) }
      let weights = trainer.adapted.trainable.map { ($0.name, backend.read($0.value)) }
      return (reports, Dictionary(uniqueKeysWithValues: weights))
    }[0]
  }

  /// Holds steps against the reference: loss within 1e-5, norms of gradients within 2e-4.
  func compare(_ reports: [StepReport], line: UInt = #line) throws {
    let wanted = figures["steps"]?.array ?? []
    XCTAssertEqual(reports.count, wanted.count, folder, line: line)
    for (report, wanted) in zip(reports, wanted) {
      let place = "\(folder) step \(report.step)"
      let (loss, norm) = (wanted["loss"]?.double ?? .nan, wanted["grad_norm"]?.double ?? .nan)
      XCTAssertEqual(report.loss, loss, accuracy: 1e-5 * loss, place, line: line)
      XCTAssertEqual(report.gradientNorm, norm, accuracy: 2e-4 * norm, place, line: line)
      XCTAssertEqual(report.supervisedTokens, wanted["supervised_tokens"]?.integer, place, line: line)
      XCTAssertEqual(report.tokens, wanted["tokens"]?.integer, place, line: line)
      for (part, norm) in wanted["grad_norms"]?.object ?? [:] {
        let norm = norm.double ?? .nan
        XCTAssertEqual(report.gradientNorms[part] ?? 0, norm, accuracy: 2e-4 * norm + 1e-12, place, line: line)
      }
    }
  }

  /// Holds an adapter that was saved against the reference's file: the same keys, numbers within `tolerance`.
  func compareFiles(_ own: String, _ wanted: String, tolerance: Double = 1e-3, line: UInt = #line) throws {
    let (own, wanted) = (try SafeTensorsFile(own), try SafeTensorsFile(wanted))
    XCTAssertEqual(Set(own.entries.keys), Set(wanted.entries.keys), folder, line: line)
    for (name, entry) in wanted.entries {
      XCTAssertEqual(own.entries[name]?.shape, entry.shape, name, line: line)
      XCTAssertLessThan(
        relativeDistance(try own.floats(name), try wanted.floats(name)), tolerance, "\(folder): \(name)", line: line)
    }
  }

  /// −Σ log p of each record alone.
  func losses(_ adapted: AdaptedModel, _ backend: any Backend) throws -> [Double] {
    try golden.records.indices.map { index in
      let batch = try Batch([golden.sample(index, imageToken: adapted.model.eyes?.imageTokenID)])
      return try loss(of: batch, adapted, Context(backend)).value
    }
  }

  func compareLosses(_ found: [Double], _ key: String, line: UInt = #line) {
    let wanted = figures.doubles(key)
    XCTAssertEqual(found.count, wanted.count, line: line)
    for (found, wanted) in zip(found, wanted) {
      XCTAssertEqual(found, wanted, accuracy: 1e-5 * wanted, "\(folder) \(key)", line: line)
    }
  }
}
