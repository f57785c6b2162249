import Batching
import Datasets
import Ground
import Models
import OrderedCollections
import RunFile
import Tensors

/// One stage of a run: its records, how they become samples, in which order they come, and what is done with them.
struct Stage {
  let configuration: StageConfiguration
  let inputs: ModelInputs
  let records: RecordSet
  let plan: TrainingPlan
  private let sampler: Sampler

  /// " in stage 'align'", or nothing where the run has no stages.
  var title: String { plan.stage.map { " in stage '\($0)'" } ?? "" }

  /// The stages of a run, one after another.
  static func all(of run: RunConfiguration, _ folder: ModelFolder, _ model: MultimodalModel) throws -> [Stage] {
    var stages: [Stage] = []
    for (index, configuration) in run.runStages.enumerated() {
      var stage = try Stage(configuration, index: index, folder, model)
      if let before = stages.last { stage = stage.after(before) }
      stages.append(stage)
    }
    return stages
  }

  private init(_ configuration: StageConfiguration, index: Int, _ folder: ModelFolder, _ model: MultimodalModel) throws
  {
    self.configuration = configuration
    let data = configuration.data
    inputs = try ModelInputs(folder, model, maxLength: data.maxLength)
    records = try RecordSet(
      data.train.map { try RecordSource(path: $0.path, images: $0.images, format: $0.format.rawValue) })
    let seed = UInt64(configuration.train.seed)
    // A further stage over the same records has an order of its own.
    sampler = try Sampler(
      records, weights: data.train.map(\.weight), shuffle: data.shuffle,
      seed: index == 0 ? seed : RandomStream([seed, UInt64(index)]).key)
    plan = configuration.plan(epochLength: sampler.epochLength)
  }

  private init(_ stage: Stage, plan: TrainingPlan) {
    (configuration, inputs, records, sampler) = (stage.configuration, stage.inputs, stage.records, stage.sampler)
    self.plan = plan
  }

  private func after(_ before: Stage) -> Stage {
    var plan = plan
    plan.stepsBefore = before.plan.lastStep
    return Stage(self, plan: plan)
  }

  /// Delivers the micro-batches of `steps`, counted from the start of the stage, that fall to a rank.
  func makeLoader(steps: Range<Int>, rank: Int, of ranks: Int, processor: Processor) -> Loader {
    Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: plan.globalBatch, microBatch: plan.microBatch), steps: steps,
      rank: rank, of: ranks, lookAhead: .init(threads: 1),
      makeSample: { [records] in try processor.sample(records.record($0)) })
  }
}
