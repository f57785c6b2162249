import Adapters
import Checkpoints
import Datasets
import Foundation
import Ground
import Models
import Parallel
import Tensors
import TestSupport
import XCTest

@testable import Training

/// Training on texts with labels against the Trainer of transformers and PEFT, and bits that depend on no rank.
final class LabelTrainingTests: FolderTests {
  /// A run of the golden BERT as its section of `golden.json` sets it.
  private struct Run: Sendable {
    let golden: LabelledGolden
    let section: String
    var dropout = 0.0
    var microBatch = 3
    var recomputes = false
    var modelFolder: String

    init(_ section: String) throws {
      golden = try LabelledGolden("bert")
      self.section = section
      modelFolder = golden.folder + "/model"
    }

    var figures: JSON { golden.json[section] ?? .null }
    var setting: JSON { figures["setting"] ?? .null }
    var steps: [JSON] { figures["steps"]?.array ?? [] }

    func start(_ communicator: any Communicator) throws -> (Trainer, any Backend) {
      let backend = try CPUBackend(threads: 1)
      let isLoRA = section == "lora"
      let method: any TuningMethod =
        isLoRA
        ? LoRASettings(rank: 4, alpha: 8, dropout: dropout, targets: .names(["query", "value"])) : FullTuning.full
      let adapted = try AdaptedModel(ModelFolder(modelFolder), methods: [.language: method])
      try adapted.loadWeights(
        adapter: isLoRA ? golden.folder + "/adapter_init" : nil, seed: 0, precision: .float32, backend: backend)
      let count = setting["steps"]?.integer ?? 0
      let plan = TrainingPlan(
        steps: count, globalBatch: setting["global_batch"]?.integer ?? 0, microBatch: microBatch, seed: 0,
        parts: [
          .language: TrainingPlan.Part(
            learningRate: setting["learning_rate"]?.double ?? 0, weightDecay: setting["weight_decay"]?.double ?? 0)
        ],
        schedule: Schedule(shape: .linear, warmupSteps: setting["warmup_steps"]?.integer ?? 0, steps: count),
        clipNorm: setting["clip_norm"]?.double, recomputes: recomputes, objectives: [LabelLoss(.singleLabel)])
      return (Trainer(adapted, plan, communicator, backend), backend)
    }

    func loader(after step: Int, _ trainer: Trainer, _ communicator: any Communicator) throws -> Loader {
      let examples = golden.examples
      return Loader(
        sampler: try Sampler(counts: [examples.count], weights: [1], shuffle: false, seed: 0),
        plan: BatchPlan(globalBatch: trainer.plan.globalBatch, microBatch: trainer.plan.microBatch),
        steps: step + 1..<trainer.plan.steps + 1, rank: communicator.rank, of: communicator.count,
        makeSample: { index in
          Sample(
            ids: examples[index].ids, types: examples[index].types, label: .number(examples[index].label), readAt: 0,
            place: "example \(index)", index: index)
        })
    }

    /// Trains on some ranks and gives rank 0's reports, the weights, and those from before.
    func train(ranks: Int = 1, steps: Int? = nil) throws -> (
      reports: [StepReport], weights: [String: [Float]], before: [String: [Float]]
    ) {
      let run = self
      return try InProcessCommunicator.run(ranks) { communicator in
        let (trainer, backend) = try run.start(communicator)
        func weights() -> [String: [Float]] {
          Dictionary(uniqueKeysWithValues: trainer.adapted.trainable.map { ($0.name, backend.read($0.value)) })
        }
        let before = weights()
        let loader = try run.loader(after: 0, trainer, communicator)
        let reports = try (0..<(steps ?? run.steps.count)).map { _ in try trainer.trainStep(loader) }
        return (reports, weights(), before)
      }[0]
    }
  }

  private func compare(_ run: Run) throws -> [String: [Float]] {
    let (reports, weights, before) = try run.train()
    XCTAssertEqual(reports.count, 12)
    for (report, wanted) in zip(reports, run.steps) {
      func figure(_ key: String) throws -> Double { try XCTUnwrap(wanted[key]?.double, key) }
      XCTAssertEqual(report.loss, try figure("loss"), accuracy: 1e-5, "\(run.section) step \(report.step)")
      XCTAssertEqual(report.losses.keys, ["cross_entropy"])
      let norm = try figure("grad_norm")
      XCTAssertEqual(report.gradientNorm, norm, accuracy: 1e-4 * norm, "\(run.section) step \(report.step)")
      XCTAssertEqual(report.learningRates["language"] ?? .nan, try figure("learning_rate"), accuracy: 1e-12)
      XCTAssertEqual(report.supervisedTokens, 8)
    }
    // How far every parameter has moved; biases of keys get gradients of rounding alone.
    let moved = try XCTUnwrap(run.figures["change_norms"]?.object)
    var names: [String: String] = [:]
    for name in moved.keys {
      var own = name.replacingOccurrences(of: ".default", with: "").replacingOccurrences(
        of: ".modules_to_save", with: "")
      if own.hasPrefix("base_model.model.") { own.removeFirst("base_model.model.".count) }
      names[own] = name
    }
    XCTAssertEqual(Set(names.keys), Set(weights.keys))
    for (name, after) in weights where !name.hasSuffix("key.bias") {
      let first = try XCTUnwrap(before[name])
      let change = zip(after, first).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
      let wanted = try XCTUnwrap(names[name].flatMap { moved[$0]?.double })
      XCTAssertEqual(change, wanted, accuracy: 1e-3 * wanted, "\(run.section): \(name)")
    }
    return weights
  }

  func testTwelveStepsOfTheTrainer() throws { _ = try compare(Run("train")) }

  func testTwelveStepsOfLoRAWithItsClassifier() throws {
    let run = try Run("lora")
    let weights = try compare(run)
    XCTAssertEqual(weights.values.reduce(0) { $0 + $1.count }, run.figures["trainable_parameters"]?.integer)
    let final = try AdapterReader(run.golden.folder + "/adapter_final").values
    XCTAssertEqual(Set(final.keys), Set(weights.keys.map { "base_model.model." + $0 }))
    for (name, values) in weights {
      XCTAssertLessThan(relativeDistance(values, try XCTUnwrap(final["base_model.model." + name])), 1e-3, name)
    }
  }

  func testTheSavedAdapterIsPEFTs() throws {
    let run = try Run("lora")
    let (trainer, backend) = try run.start(SingleProcess())
    try trainer.adapted.saveAdapter(to: folder + "/adapter", backend: backend)
    XCTAssertEqual(
      try AdapterReader(folder + "/adapter").values, try AdapterReader(run.golden.folder + "/adapter_init").values)
    let json = try JSON(contentsOf: folder + "/adapter/adapter_config.json")
    XCTAssertEqual(json["modules_to_save"], ["classifier"])
    XCTAssertEqual(json["task_type"], "SEQ_CLS")
    XCTAssertEqual(json["target_modules"], ["query", "value"])
  }

  func testAnAdapterWithoutTheNewClassifierIsAFault() throws {
    let run = try Run("lora")
    let base = try ModelFolder(run.modelFolder)
    try place(base.configuration.without("architectures").description, "model/config.json")
    let tensors = try SafeTensorsReading.file(run.modelFolder + "/model.safetensors").filter {
      !$0.name.hasPrefix("classifier")
    }
    try writeStored(tensors, to: folder + "/model/model.safetensors")
    let adapter = try SafeTensorsReading.file(run.golden.folder + "/adapter_init/adapter_model.safetensors")
    try writeStored(
      adapter.filter { !$0.name.contains("classifier") }, to: (folder + "/adapter/adapter_model.safetensors").made())
    let settings = try JSON(contentsOf: run.golden.folder + "/adapter_init/adapter_config.json")
    try place(settings.description, "adapter/adapter_config.json")
    let model = try ModelFolder(folder + "/model").classifying(run.golden.labels, .singleLabel)
    let adapted = try AdaptedModel(
      model, methods: AdaptedModel.methods(ofAdapter: folder + "/adapter", for: model))
    let found = try fault {
      try adapted.loadWeights(
        adapter: folder + "/adapter", seed: 0, precision: .float32, backend: CPUBackend(threads: 1))
    }
    XCTAssertTrue(found.what.contains("the adapter has no 'classifier.bias' and 1 more"), found.what)
  }

  func testTheSameBitsOnAnyNumberOfRanks() throws {
    for section in ["train", "lora"] {
      var run = try Run(section)
      // With dropout everywhere: in the embeddings, after each part, in attention, before the classifier.
      let dropping = ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"].reduce(
        try ModelFolder(run.modelFolder).configuration
      ) { $0.with($1, 0.2) }
      try place(dropping.description, "\(section)/config.json")
      try FileManager.default.copyItem(
        atPath: run.modelFolder + "/model.safetensors", toPath: "\(folder)/\(section)/model.safetensors")
      let quiet = try run.train(steps: 3).weights
      run.modelFolder = "\(folder)/\(section)"
      run.dropout = 0.1
      let (reports, weights, _) = try run.train(steps: 3)
      XCTAssertNotEqual(weights, quiet, "dropout does something")
      for ranks in [2, 3, 5] {
        let (others, otherWeights, _) = try run.train(ranks: ranks, steps: 3)
        XCTAssertEqual(reports.map(\.loss), others.map(\.loss), "\(section), \(ranks) ranks")
        XCTAssertEqual(weights, otherWeights, "\(section), \(ranks) ranks")
      }
      run.recomputes = true
      XCTAssertEqual(try run.train(steps: 3).weights, weights, "\(section), recomputed")
    }
  }

  func testWeightDecayLeavesNormsOfBERTAlone() throws {
    for parameter in try ModelFolder(Run("train").modelFolder).makeModel().parameters {
      XCTAssertNotEqual(Optimizer.decays(parameter.name), parameter.shape.count == 1, parameter.name)
    }
  }
}

extension String {
  /// The same path, once the folder above it is there.
  fileprivate func made() throws -> String {
    try makeFolder((self as NSString).deletingLastPathComponent)
    return self
  }
}
