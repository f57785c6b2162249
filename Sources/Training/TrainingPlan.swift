import Adapters
import Models

/// All that decides the bits of a training run, beside the data: how long, in which batches, at which rates.
public struct TrainingPlan {
  public struct Part: Equatable, Sendable {
    public var learningRate: Double
    public var weightDecay: Double

    public init(learningRate: Double, weightDecay: Double) {
      self.learningRate = learningRate
      self.weightDecay = weightDecay
    }
  }

  /// Of this stage.
  public var steps: Int
  /// Steps that the stages before it take.
  public var stepsBefore = 0
  /// The stage's name; nil where the run has no stages.
  public var stage: String?
  public var globalBatch: Int
  public var microBatch: Int
  public var seed: UInt64
  public var parts: [ModelPart: Part]
  public var optimizer: AdamW.Settings
  public var schedule: Schedule
  public var clipNorm: Double?
  public var recomputes: Bool
  public var isDeterministic: Bool
  public var objective: any Objective

  public init(
    steps: Int, globalBatch: Int, microBatch: Int, seed: UInt64, parts: [ModelPart: Part],
    optimizer: AdamW.Settings = AdamW.Settings(), schedule: Schedule, clipNorm: Double?, recomputes: Bool = false,
    isDeterministic: Bool = true, objective: any Objective = CrossEntropy()
  ) {
    self.steps = steps
    self.globalBatch = globalBatch
    self.microBatch = microBatch
    self.seed = seed
    self.parts = parts
    self.optimizer = optimizer
    self.schedule = schedule
    self.clipNorm = clipNorm
    self.recomputes = recomputes
    self.isDeterministic = isDeterministic
    self.objective = objective
  }

  /// The last step of this stage, counted from the start of the run.
  public var lastStep: Int { stepsBefore + steps }
}
