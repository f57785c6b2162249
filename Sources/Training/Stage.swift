import Batching
import Datasets
import Features
import Ground
import Media
import Models
import OrderedCollections
import Parallel
import RunFile
import Tensors

/// One stage of a run: its records, how they become samples, in which order they come, and what is done with them.
struct Stage {
  let configuration: StageConfiguration
  /// What makes samples of conversations; nil for other records.
  let inputs: ModelInputs?
  /// The records, as long as no features of pictures are kept.
  let samples: any SampleSource
  /// Faulty records that are left out of ``samples``.
  let skipped: [RecordFault]
  private let open: OpenData
  /// All records, where they have labels.
  let labelled: LabelledSamples?
  let plan: TrainingPlan
  let order: RecordOrder
  private let sampler: Sampler
  /// What captions and changes of pictures are drawn from.
  private let stream: RandomStream
  /// How pictures and captions become samples; nil for other records.
  private let pairs: PairProcessor?
  /// What makes pixels of pictures; nil where there are none.
  var images: ImageProcessor? { pairs?.images ?? inputs?.processor.vision?.processor }

  /// The stages of a run, one after another.
  /// - Parameter check: looks at all records, once for stages of the same data, and tells which are left out.
  static func all(
    of run: RunConfiguration, _ data: RunData, _ model: MultimodalModel, _ communicator: any Communicator,
    check: (any SampleSource, _ stage: Int) throws -> [RecordFault]
  ) throws -> [Stage] {
    var stages: [Stage] = []
    for (index, configuration) in run.runStages.enumerated() {
      let alike = stages.first { $0.configuration.data == configuration.data }
      var stage = try Stage(
        configuration, index: index, data, model, alike?.order, communicator, measuresEvery: run.log.objectiveNormsEvery
      ) { samples in
        try alike?.skipped ?? check(samples, index)
      }
      if let head = run.head { stage = stage.training(head) }
      if let before = stages.last { stage = stage.after(before) }
      stages.append(stage)
    }
    return stages
  }

  private init(
    _ configuration: StageConfiguration, index: Int, _ run: RunData, _ model: MultimodalModel,
    _ known: RecordOrder?, _ communicator: any Communicator, measuresEvery: Int,
    check: (any SampleSource) throws -> [RecordFault]
  ) throws {
    self.configuration = configuration
    let data = configuration.data
    let key = configuration.name.isEmpty ? "train.objective" : "train.objective of stage '\(configuration.name)'"
    try configuration.train.objective.requireSense(for: model, labels: run.labels, at: key)
    open = run.stages[index]
    inputs = try run.inputs(of: open, model, data, isTraining: true)
    let all = try run.samples(
      of: open, model, inputs, maxLength: data.maxLength, decodes: data.onError == .skip)
    pairs = (all as? PairSamples)?.processor
    labelled = all as? LabelledSamples
    skipped = try check(all)
    samples = try all.without(skipped)
    let seed = UInt64(configuration.train.seed)
    // A further stage over the same records has an order of its own.
    order = try known ?? RecordOrder(samples, data, communicator)
    sampler = try Sampler(
      order.strata, order.order, seed: index == 0 ? seed : RandomStream([seed, UInt64(index)]).key)
    stream = RandomStream([seed, UInt64(index)]).named("draws")
    var plan = configuration.plan(epochLength: sampler.epochLength)
    plan.measuresEvery = measuresEvery
    if let labels = run.labels {
      plan.objectives = [LabelLoss(labels.problem, weight: configuration.train.objective.crossEntropy)]
    }
    if let dual = model.dual { plan.objectives = try configuration.train.objective.objectives(for: dual, at: key) }
    self.plan = plan
  }

  private init(_ stage: Stage, plan: TrainingPlan) {
    (configuration, inputs, samples) = (stage.configuration, stage.inputs, stage.samples)
    (labelled, skipped) = (stage.labelled, stage.skipped)
    (open, order, sampler, stream, pairs) = (stage.open, stage.order, stage.sampler, stage.stream, stage.pairs)
    self.plan = plan
  }

  /// The same at the rates of a head.
  private func training(_ head: HeadConfiguration) -> Stage {
    var plan = plan
    plan.parts[.language] = TrainingPlan.Part(learningRate: head.learningRate, weightDecay: head.weightDecay)
    return Stage(self, plan: plan)
  }

  private func after(_ before: Stage) -> Stage {
    var plan = plan
    plan.stepsBefore = before.plan.lastStep
    return Stage(self, plan: plan)
  }

  /// The records, made into samples by inputs that may keep features of pictures, or with features of whole records.
  func samples(
    _ inputs: ModelInputs?, _ features: FeatureStore?, _ states: StateCache?
  ) throws -> any SampleSource {
    if let labelled { return try labelled.keeping(states?.store).without(skipped) }
    if case .pairs(let records) = open, var processor = pairs {
      processor.features = features
      return try PairSamples(records, processor).without(skipped)
    }
    guard case .conversations(let records) = open, let inputs else { return samples }
    return try ConversationSamples(records, inputs.processor).without(skipped)
  }

  /// - Parameter known: those of the stages before.
  func dataIdentity(known: [DataIdentity]) throws -> DataIdentity {
    try DataIdentity(samples, skipped: skipped, files: open.files, known: known)
  }

  /// Delivers the micro-batches of `steps`, counted from the start of the stage, that fall to a rank.
  func makeLoader(_ samples: any SampleSource, steps: Range<Int>, rank: Int, of ranks: Int) -> Loader {
    Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: plan.globalBatch, microBatch: plan.microBatch), steps: steps,
      rank: rank, of: ranks, lookAhead: .init(threads: 1), work: order.work,
      makeSample: { [stream] record, place in
        let own = RandomStream([stream.key, UInt64(place.step), UInt64(place.sample)])
        return try samples.sample(record, RandomDraw(own.uniform))
      })
  }
}

extension SampleSource {
  /// The records less faulty ones.
  fileprivate func without(_ skipped: [RecordFault]) throws -> any SampleSource {
    skipped.isEmpty ? self : try KeptSamples(self, without: skipped)
  }
}

extension StageConfiguration {
  /// " in stage 'align'", or nothing where the run has no stages.
  var title: String { name.isEmpty ? "" : " in stage '\(name)'" }
}
