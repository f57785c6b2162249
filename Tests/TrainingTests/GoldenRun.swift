import Adapters
import Datasets
import Foundation
import Ground
import Models
import Parallel
import RunFile
import Tensors
import TestSupport
import Training

/// A training run of a golden model, set up as the reference was.
struct GoldenRun: Sendable {
  let golden: Golden
  let section: String
  /// The reference's settings and steps.
  let figures: JSON
  var threads = 1
  /// Where the model's files are: those of the golden, or others of the same shapes.
  var modelFolder: String
  /// The parts whose matrices are 4-bit codes.
  var quantised: Set<ModelPart> = []
  /// Of the frozen weights.
  var precision = DType.float32
  /// nil: the fastest of this processor.
  var products: ProductKernels?
  var isDeterministic = true
  var recomputes = false
  var dropout = 0.0
  var shuffle = false
  var optimizer: any OptimizerRule = AdamW()
  var layerDecay: Double?
  var average: MovingAverage.Settings?
  /// Steps of the stages before.
  var stepsBefore = 0
  /// In place of the reference's, for a variant of LoRA.
  var targets: Targets?
  /// α of NEFTune.
  var noise: Double?

  /// - Parameter section: of `golden.json`, or `curve` for `curve.json`, or `nf4` for that of the quantised model.
  init(_ name: String, section: String) throws {
    golden = try Golden(name)
    modelFolder = golden.modelFolder
    self.section = section
    let curve = (section == "nf4" ? Golden.fixtures + "/nf4" : golden.folder) + "/curve.json"
    figures = try ["curve", "nf4"].contains(section) ? JSON(contentsOf: curve) : golden.json[section] ?? .null
  }

  /// A run of `optimizers/training.json`: a model trained by one of the rules, whole or by LoRA.
  init(rule run: String) throws {
    let json = try JSON(contentsOf: Golden.fixtures + "/optimizers/training.json")
    let own = json["runs"]?[run] ?? .null
    golden = try Golden(own["model"]?.string ?? "llava-siglip-qwen2")
    modelFolder = golden.modelFolder
    section = own["parts"]?["language"]?["train"]?.string ?? ""
    figures = own.with("setting", (json["setting"] ?? .null).with("parts", own["parts"] ?? .null))
      .with("lora", golden.json["lora"]?["lora"] ?? .null)
    let keys = own["optimizer"] ?? .null
    optimizer = makeRule(
      try RunConfiguration(parsing: "model: here\noutput: /there\ntrain: {optimizer: \(keys)}").train.optimizer)
    layerDecay = own["layer_decay"]?.double
    average = own["ema"]?["decay"]?.double.map { MovingAverage.Settings(decay: $0) }
  }

  /// The norm of what training did to each parameter, or to its average.
  func changeNorms(ofAverage: Bool = false) -> [String: Double] {
    let norms = figures[ofAverage ? "average_change_norms" : "change_norms"]?.object ?? [:]
    return Dictionary(uniqueKeysWithValues: norms.compactMap { name, norm in norm.double.map { (name, $0) } })
  }

  /// One of the variants of LoRA, in `lora-family/`.
  init(family name: String) throws {
    figures = try JSON(contentsOf: Golden.fixtures + "/lora-family/\(name)/golden.json")
    golden = try Golden(figures["model"]?.string ?? "")
    modelFolder = golden.modelFolder
    section = "family"
  }

  var setting: JSON { figures["setting"] ?? .null }
  var wantedSteps: [JSON] { figures["steps"]?.array ?? [] }
  var globalBatch: Int { setting["global_batch"]?.integer ?? 0 }

  func methods() throws -> [ModelPart: any TuningMethod] {
    if section == "family" { return familyMethods() }
    let lora = figures["lora"]
    var methods: [ModelPart: any TuningMethod] = [:]
    for part in ModelPart.allCases {
      switch setting["parts"]?[part.rawValue]?["train"]?.string {
      case "full": methods[part] = .full
      case "lora":
        let names = lora?["target_modules"]?.array?.compactMap(\.string)
        methods[part] = .lora(
          LoRASettings(
            rank: lora?["r"]?.integer ?? 0, alpha: lora?["lora_alpha"]?.double ?? 0, dropout: dropout,
            targets: names.map(Targets.names) ?? .pattern(lora?["target_modules"]?.string ?? "")))
      default: methods[part] = .frozen
      }
    }
    return methods
  }

  func plan(steps: Int) -> TrainingPlan {
    var parts: [ModelPart: TrainingPlan.Part] = [:]
    for part in ModelPart.allCases {
      guard let row = setting["parts"]?[part.rawValue] else { continue }
      parts[part] = TrainingPlan.Part(
        learningRate: row["learning_rate"]?.double ?? 0, weightDecay: row["weight_decay"]?.double ?? 0,
        loraPlusRatio: row["lora_plus_ratio"]?.double)
    }
    let all = setting["steps"]?.integer ?? 0
    let ratio = setting["warmup_ratio"]?.double ?? 0
    var plan = TrainingPlan(
      steps: all, globalBatch: globalBatch, microBatch: setting["micro_batch"]?.integer ?? 0, seed: 0, parts: parts,
      optimizer: optimizer, layerDecay: layerDecay, average: average,
      schedule: Schedule(shape: .cosine, warmupSteps: Int((ratio * Double(all)).rounded(.up)), steps: all),
      clipNorm: setting["clip_norm"]?.double, recomputes: recomputes, isDeterministic: isDeterministic)
    plan.stepsBefore = stepsBefore
    plan.embeddingNoise = noise.map(EmbeddingNoise.init)
    return plan
  }

  /// A trainer with its weights, and the loader of its data from the step after `step`.
  func start(_ communicator: any Communicator, profile: Profile? = nil) throws -> (Trainer, any Backend) {
    let device = try products?.backend(threads: threads) ?? CPUBackend(threads: threads)
    let backend: any Backend = profile.map { ProfiledBackend(device, $0) } ?? device
    let adapted = try AdaptedModel(ModelFolder(modelFolder), methods: methods(), quantised: quantised)
    let adapter = golden.folder + "/adapter_init"
    let hasAdapter = section != "full" && section != "family"
    try adapted.loadWeights(adapter: hasAdapter ? adapter : nil, seed: 0, precision: precision, backend: backend)
    if section == "family" { spreadStart(adapted, backend) }
    let trainer = Trainer(adapted, plan(steps: wantedSteps.count), communicator, backend, profile: profile)
    return (trainer, backend)
  }

  func loader(after step: Int, _ communicator: any Communicator) throws -> Loader {
    let golden = golden
    let imageToken = try ModelFolder(golden.modelFolder).makeModel().eyes?.imageTokenID
    let sampler = try Sampler(counts: [golden.records.count], weights: [1], shuffle: shuffle, seed: 0)
    let plan = plan(steps: wantedSteps.count)
    return Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: plan.globalBatch, microBatch: plan.microBatch),
      steps: step + 1..<plan.steps + 1, rank: communicator.rank, of: communicator.count,
      makeSample: { try golden.sample($0, imageToken: imageToken) })
  }

  /// Trains `steps` steps on `ranks` ranks in this process and gives rank 0's reports and digest of the weights.
  func train(ranks: Int, steps: Int? = nil) throws -> (reports: [StepReport], weights: [String: [Float]]) {
    let run = self
    let results = try InProcessCommunicator.run(ranks) { communicator in
      let (trainer, backend) = try run.start(communicator)
      let loader = try run.loader(after: 0, communicator)
      let reports = try (0..<(steps ?? run.wantedSteps.count)).map { _ in try trainer.trainStep(loader) }
      let weights = Dictionary(
        uniqueKeysWithValues: trainer.adapted.trainable.map { ($0.name, backend.read($0.value)) })
      return (reports, weights)
    }
    return results[0]
  }
}

extension Golden {
  /// A record as a sample, from the ids and pixels of the reference.
  func sample(_ index: Int, imageToken: Int?) throws -> Sample {
    let record = records[index]
    let pixels = try record.images.map { image in
      let values = try self.pixels(image)
      let size = Int(Double(values.count / 3).squareRoot().rounded())
      return Pixels(values: values, height: size, width: size)
    }
    return Sample(
      ids: record.ids, supervised: record.labels.map { $0 != -100 }, pixels: pixels,
      imagePositions: record.ids.indices.filter { Int(record.ids[$0]) == imageToken }, place: "record \(index)",
      index: index)
  }
}
