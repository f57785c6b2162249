import Adapters
import Ground
import Models
import RunFile

/// What the run file means to the trainer.
extension RunConfiguration {
  /// How each part is trained.
  public var methods: [ModelPart: any TuningMethod] {
    Dictionary(uniqueKeysWithValues: ModelPart.allCases.map { ($0, train.parts[$0.row].method ?? .frozen) })
  }

  /// - Parameter epochLength: samples in an epoch.
  public func plan(epochLength: Int) -> TrainingPlan {
    let steps =
      train.steps ?? max(1, Int(((train.epochs ?? 1) * Double(epochLength) / Double(train.globalBatch)).rounded(.up)))
    let warmup =
      train.schedule.warmupSteps ?? Int((train.schedule.warmupRatio * Double(steps)).rounded(.up))
    let rows = ModelPart.allCases.map { part -> (ModelPart, TrainingPlan.Part) in
      let row = train.parts[part.row]
      return (part, TrainingPlan.Part(learningRate: row.learningRate, weightDecay: row.weightDecay))
    }
    var plan = TrainingPlan(
      steps: steps, globalBatch: train.globalBatch, microBatch: train.microBatch, seed: UInt64(train.seed),
      parts: Dictionary(uniqueKeysWithValues: rows),
      optimizer: AdamW.Settings(
        beta1: train.optimizer.betas[0], beta2: train.optimizer.betas[1], epsilon: train.optimizer.epsilon),
      schedule: Schedule(shape: Schedule.Shape(train.schedule.name), warmupSteps: warmup, steps: steps),
      clipNorm: train.clipNorm, recomputes: train.recompute, isDeterministic: train.deterministic,
      objective: CrossEntropy(weight: train.objective.crossEntropy))
    plan.embeddingNoise = train.neftuneAlpha.map(EmbeddingNoise.init)
    return plan
  }
}

extension ModelPart {
  /// The part's row in the run file.
  var row: PartName {
    switch self {
    case .vision: .vision
    case .projector: .projector
    case .language: .language
    }
  }
}

extension Schedule.Shape {
  init(_ name: ScheduleConfiguration.Name) {
    switch name {
    case .cosine: self = .cosine
    case .linear: self = .linear
    case .constant: self = .constant
    }
  }
}
