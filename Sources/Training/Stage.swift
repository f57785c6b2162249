import Batching
import Datasets
import Ground
import Models
import RunFile
import Tensors

/// One stage of a run: its data, how they become samples, in which order they come, and what is done with them.
struct Stage {
  let data: RunData
  /// What makes samples of conversations; nil for texts with labels.
  let inputs: ModelInputs?
  let plan: TrainingPlan
  private let maxLength: Int
  private let model: MultimodalModel
  private let sampler: Sampler

  /// " in stage 'align'", or nothing where the run has no stages.
  var title: String { plan.stage.map { " in stage '\($0)'" } ?? "" }

  /// The stages of a run, one after another.
  /// - Parameter data: of each.
  static func all(of run: RunConfiguration, _ data: [RunData], _ model: MultimodalModel) throws -> [Stage] {
    var stages: [Stage] = []
    for (index, configuration) in run.runStages.enumerated() {
      stages.append(
        try Stage(configuration, index: index, data[index], model, stepsBefore: stages.last?.plan.lastStep ?? 0))
    }
    return stages
  }

  private init(
    _ configuration: StageConfiguration, index: Int, _ data: RunData, _ model: MultimodalModel, stepsBefore: Int
  ) throws {
    self.data = data
    self.model = model
    maxLength = configuration.data.maxLength
    inputs = try data.inputs(model, maxLength: maxLength)
    let counts = try data.samples(model, inputs, maxLength: maxLength).counts
    let seed = UInt64(configuration.train.seed)
    // A further stage over the same records has an order of its own.
    sampler = try Sampler(
      counts: counts, weights: configuration.data.train.map(\.weight), shuffle: configuration.data.shuffle,
      seed: index == 0 ? seed : RandomStream([seed, UInt64(index)]).key)
    var plan = configuration.plan(epochLength: sampler.epochLength)
    plan.stepsBefore = stepsBefore
    if let labels = data.labels { plan.objective = LabelLoss(labels.problem, weight: plan.objective.weight) }
    self.plan = plan
  }

  /// - Parameter inputs: the stage's own, with what keeps features of pictures where they are kept.
  func samples(_ inputs: ModelInputs?) throws -> any SampleSource {
    try data.samples(model, inputs, maxLength: maxLength)
  }

  /// Delivers the micro-batches of `steps`, counted from the start of the stage, that fall to a rank.
  func makeLoader(steps: Range<Int>, rank: Int, of ranks: Int, samples: any SampleSource) -> Loader {
    Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: plan.globalBatch, microBatch: plan.microBatch), steps: steps,
      rank: rank, of: ranks, lookAhead: .init(threads: 1), makeSample: { try samples.sample($0) })
  }
}
