import Adapters
import Ground
import Models
import RunFile

/// What the run file means to the trainer.
extension RunConfiguration {
  /// How each part is trained.
  public var methods: [ModelPart: PartMethod] {
    var methods: [ModelPart: PartMethod] = [:]
    for part in ModelPart.allCases {
      let row = train.parts[part.row]
      switch row.train {
      case .full: methods[part] = .full
      case .lora:
        methods[part] = .lora(
          LoRASettings(rank: row.rank, alpha: row.alpha, dropout: row.dropout, targets: Adapters.Targets(row.targets)))
      case .frozen, .qlora, .adapter, .prefix, .prompt: methods[part] = .frozen  // validate() refuses the last four
      }
    }
    return methods
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
    return TrainingPlan(
      steps: steps, globalBatch: train.globalBatch, microBatch: train.microBatch, seed: UInt64(train.seed),
      parts: Dictionary(uniqueKeysWithValues: rows),
      optimizer: makeRule(train.optimizer), layerDecay: train.layerDecay,
      average: train.ema.map { MovingAverage.Settings(decay: $0.decay, warmsUp: $0.warmup) },
      schedule: Schedule(shape: Schedule.Shape(train.schedule.name), warmupSteps: warmup, steps: steps),
      clipNorm: train.clipNorm, recomputes: train.recompute, isDeterministic: train.deterministic,
      objective: CrossEntropy(weight: train.objective.crossEntropy))
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

extension Adapters.Targets {
  init(_ targets: RunFile.Targets) {
    switch targets {
    case .allLinear: self = .allLinear
    case .pattern(let pattern): self = .pattern(pattern)
    case .names(let names): self = .names(names)
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
