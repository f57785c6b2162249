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

  public var steps: Int
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
  /// On the embeddings of text; nil: none.
  public var embeddingNoise: EmbeddingNoise?

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
}
