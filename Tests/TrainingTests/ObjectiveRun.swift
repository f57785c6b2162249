import Adapters
import Batching
import Datasets
import Foundation
import Ground
import Models
import Parallel
import RunFile
import Tensors
import TestSupport

@testable import Training

/// A run of the golden SigLIP + Qwen2 towards objectives that `make_objectives.py` computed too: every parameter is trained.
struct ObjectiveRun: Sendable {
  let golden: Golden
  let figures: JSON
  /// What the run file has under `train.objective`.
  var keys: JSON
  var globalBatch = 14
  var microBatch = 14
  var steps = 1
  var rate = 0.0
  var objectiveRate = 0.0
  var warmupSteps = 0
  var shape = Schedule.Shape.constant
  var clipNorm: Double?
  /// 0: the state of the optimiser is the gradient itself.
  var firstBeta = 0.0
  var measuresEvery = 0
  var isBalanced = false
  var textDropout: Double?
  var records: [Int] = Array(0..<14)
  /// How much each token of each record counts, where they do not all count alike.
  var weights: [[Float]]?

  /// The matrix that does not start as the model's files have it.
  static let changed = "model.multi_modal_projector.linear_2.weight"

  init(_ keys: JSON) throws {
    golden = try Golden("llava-siglip-qwen2")
    figures = try JSON(contentsOf: Golden.fixtures + "/objectives/golden.json")
    self.keys = keys
  }

  /// The run of twelve steps.
  static func curve() throws -> ObjectiveRun {
    var run = try ObjectiveRun(.null)
    let setting = run.figures["curve"]?["setting"] ?? .null
    run.keys = setting["objective"] ?? .null
    run.steps = setting["steps"]?.integer ?? 0
    run.globalBatch = setting["global_batch"]?.integer ?? 0
    run.microBatch = setting["micro_batch"]?.integer ?? 0
    run.rate = setting["learning_rate"]?.double ?? 0
    run.objectiveRate = setting["objective_rate"]?.double ?? 0
    run.warmupSteps = Int(((setting["warmup_ratio"]?.double ?? 0) * Double(run.steps)).rounded(.up))
    run.shape = .cosine
    run.clipNorm = setting["clip_norm"]?.double
    run.firstBeta = 0.9
    return run
  }

  func configuration() throws -> ObjectiveConfiguration {
    try RunConfiguration(parsing: "model: here\noutput: /there\ntrain: {objective: \(keys)}").train.objective
  }

  func plan() throws -> TrainingPlan {
    let part = TrainingPlan.Part(learningRate: rate, weightDecay: 0)
    let configuration = try configuration()
    var optimizer = OptimizerConfiguration()
    optimizer.betas[0] = firstBeta
    var plan = TrainingPlan(
      steps: steps, globalBatch: globalBatch, microBatch: microBatch, seed: 0,
      parts: Dictionary(uniqueKeysWithValues: ModelPart.allCases.map { ($0, part) }),
      optimizer: AdamW(optimizer),
      schedule: Schedule(shape: shape, warmupSteps: warmupSteps, steps: steps), clipNorm: clipNorm,
      objectives: configuration.objectives)
    plan.objectiveRate = objectiveRate
    plan.measuresEvery = measuresEvery
    plan.isBalanced = isBalanced
    plan.textDropout = textDropout.map(TextDropout.init)
    return plan
  }

  func start(_ communicator: any Communicator) throws -> (Trainer, any Backend) {
    let backend = try CPUBackend(threads: 1)
    let adapted = try AdaptedModel(
      ModelFolder(golden.modelFolder),
      methods: Dictionary(uniqueKeysWithValues: ModelPart.allCases.map { ($0, FullTuning.full) }))
    try adapted.loadWeights(adapter: nil, seed: 0, precision: .float32, backend: backend)
    for parameter in adapted.trainable where parameter.name == ObjectiveRun.changed {
      let values = backend.read(parameter.value).enumerated().map { $1 + 0.05 * Float(sin(Double($0))) }
      parameter.value = backend.tensor(values, parameter.shape)
    }
    var teacher: Teacher?
    if var wanted = try configuration().distillation {
      wanted.model = golden.modelFolder
      teacher = try Teacher(wanted, for: adapted.model, precision: .float32, backend)
    }
    return (Trainer(adapted, try plan(), teacher: teacher?.model, communicator, backend), backend)
  }

  func loader(after step: Int, _ communicator: any Communicator) throws -> Loader {
    let (golden, regions, records, weights) = (golden, figures["regions"]?.array ?? [], records, weights)
    let imageToken = try ModelFolder(golden.modelFolder).makeModel().eyes?.imageTokenID
    return Loader(
      sampler: try Sampler(counts: [records.count], weights: [1], shuffle: false, seed: 0),
      plan: BatchPlan(globalBatch: globalBatch, microBatch: microBatch), steps: step + 1..<steps + 1,
      rank: communicator.rank, of: communicator.count,
      makeSample: { number in
        let index = records[number]
        var sample = try golden.sample(index, imageToken: imageToken)
        if let weights { sample = sample.weighing(weights[index]) }
        sample.regions = regions.filter { $0["record"]?.integer == index }.map { region in
          let tokens = region.integers("tokens")
          return Sample.Region(
            picture: region["picture"]?.integer ?? 0, rows: region.integers("rows"), tokens: tokens[0]..<tokens[1])
        }
        return sample
      })
  }

  /// What rank 0 knows after some steps.
  struct Outcome: Equatable, Sendable {
    var lines: [String]
    var reports: [StepReport]
    /// The first moments, which without momentum are the last gradients.
    var gradients: [String: [Float]]
    var weights: [String: [Float]]

    static func == (a: Outcome, b: Outcome) -> Bool {
      (a.lines, a.gradients, a.weights) == (b.lines, b.gradients, b.weights)
    }
  }

  func train(ranks: Int = 1) throws -> Outcome {
    let run = self
    return try InProcessCommunicator.run(ranks) { communicator in
      let (trainer, backend) = try run.start(communicator)
      let loader = try run.loader(after: 0, communicator)
      let reports = try (0..<run.steps).map { _ in try trainer.trainStep(loader) }
      return Outcome(reports, trainer, backend)
    }[0]
  }
}

extension ObjectiveRun.Outcome {
  init(_ reports: [StepReport], _ trainer: Trainer, _ backend: any Backend) {
    self.reports = reports
    lines = reports.map { report in
      JSON.object((report.json.object ?? [:]).filter { !StepReport.timingKeys.contains($0.key) }).description
    }
    (gradients, weights) = ([:], [:])
    for state in trainer.optimizer.states {
      weights[state.parameter.name] = backend.read(state.parameter.value)
      // A parameter that was never updated has no gradient.
      if state.updates > 0 { gradients[state.parameter.name] = backend.read(state.tensors[0].value) }
    }
  }
}

extension Sample {
  /// The same where tokens of weight 0 are not trained.
  func weighing(_ weights: [Float]) -> Sample {
    Sample(
      ids: ids, supervised: weights.map { $0 > 0 }, weights: weights, pictures: pictures,
      imagePositions: imagePositions, place: place, index: index)
  }
}
