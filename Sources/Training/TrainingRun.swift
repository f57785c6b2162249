import Adapters
import Batching
import Checkpoints
import Datasets
import EventFiles
import Foundation
import Ground
import Models
import OrderedCollections
import Parallel
import RunFile
import Tensors

/// A whole training run as a run file asks for it: from the first check of the data to the last checkpoint.
public final class TrainingRun {
  public enum Resume: Equatable, Sendable {
    /// From the newest whole checkpoint of the output folder, if there is one.
    case auto
    case never
    case from(String)
  }

  public enum Ending: Equatable, Sendable { case finished, stopped }

  /// What a run tells while it goes on; rank 0 alone is told.
  public protocol Audience: AnyObject {
    func note(_ line: String)
    func progress(_ report: StepReport, of steps: Int)
  }

  public let configuration: RunConfiguration
  public let adapted: AdaptedModel
  /// The labels of texts; nil for conversations.
  public let labels: LabelSet?
  public let backend: any Backend
  let communicator: any Communicator
  let audience: any Audience
  let profile: Profile?
  let stages: [Stage]
  private(set) var present: Present
  private let data: RunData
  /// What evaluations have said so far.
  private(set) var history: EvaluationHistory
  /// Of each stage; empty but on rank 0.
  private(set) var dataIdentities: [DataIdentity] = []
  /// The checkpoint that the run was told to go on from by name, if it was.
  var origin: String?
  private var lock: OutputLock?
  var hasWarnedOfLeftovers = false
  private let traceRequest: TraceRequest?
  var isLeader: Bool { communicator.rank == 0 }
  var checkpoints: String { configuration.output + "/checkpoints" }

  /// The stage that is under way, and what works in it.
  struct Present {
    let stage: Int
    let inputs: ModelInputs?
    let samples: any SampleSource
    let features: FeatureCache?
    let trainer: Trainer
    let states: StateCache?
    let evaluation: RunEvaluation?
  }

  var trainer: Trainer { present.trainer }
  /// How conversations become samples in the present stage; nil where texts with labels are trained on.
  public var inputs: ModelInputs? { present.inputs }
  /// What keeps the features of pictures, where they are kept.
  public var features: FeatureCache? { present.features }

  /// Builds the model and looks at all of the data, before anything is written but the folder and its lock.
  ///
  /// - Parameters:
  ///   - cache: where frozen weights that have to be converted are kept for all ranks; without it each rank
  ///     converts them for itself.
  ///   - trace: which steps are to be written as a trace.
  ///   - profile: is told of every step's phases and primitives; one of the run's own where `trace` asks for it.
  public init(
    _ configuration: RunConfiguration, _ communicator: any Communicator, _ backend: any Backend,
    threads: Int, cache: CacheFolder? = nil, audience: any Audience, trace: TraceRequest? = nil,
    profile: Profile? = nil
  ) throws {
    let profile = profile ?? trace.map { _ in Profile(limit: TraceRecording.mostSpans / communicator.count) }
    let backend = profile.map { ProfiledBackend(backend, $0) } ?? backend
    self.profile = profile
    traceRequest = trace
    self.configuration = configuration
    self.communicator = communicator
    self.backend = backend
    self.audience = audience
    communicator.activity = "start"
    try communicator.agree(on: Array(configuration.yaml.utf8), what: "run file")
    lock = try communicator.agreeOnSuccess {
      if communicator.rank == 0, let trace { try requireWritable(trace.path) }
      return communicator.rank == 0 ? try OutputLock(output: configuration.output) : nil
    }

    let data = try RunData(configuration, communicator)
    self.data = data
    adapted = try AdaptedModel(
      data.folder, stages: configuration.methods, quantised: configuration.quantised,
      carried: configuration.adapter.map(AdaptedModel.wholeParts) ?? [])
    labels = data.labels
    for (index, stage) in configuration.runStages.enumerated() {
      adapted.begin(stage: index)
      guard adapted.trainable.isEmpty else { continue }
      throw Fault(
        .badConfiguration, "no parameter of this model would be trained\(stage.title)", at: "train.parts",
        "train a part that the model has")
    }
    adapted.begin(stage: 0)
    var notes: [String] = []
    stages = try Stage.all(of: configuration, data, adapted.model, communicator) { samples, index in
      let stage = configuration.runStages[index].data
      // One rank alone decides whether to look.
      let memory = communicator.rank == 0 ? CheckMemory(configuration, stage, data.stages[index]) : nil
      let check = try DataCheck(samples, stage.onError, memory, communicator, threads: threads)
      notes += check.notes
      return check.skipped
    }
    notes += OrderedSet(stages.flatMap(\.order.notes))
    try adapted.loadWeights(
      adapter: configuration.adapter, seed: stages[0].plan.seed, precision: configuration.precision,
      converted: cache.map { SharedWeights(in: $0, communicator, backend, note: audience.note).callAsFunction },
      backend: backend)
    history = EvaluationHistory(configuration.evaluate, steps: stages.last?.plan.lastStep ?? 0)
    present = try TrainingRun.begin(
      0, of: stages, data, adapted, configuration, features: nil, communicator, backend, audience, profile)
    dataIdentities = try communicator.agreeOnSuccess {
      isLeader ? try stages.reduce(into: []) { $0.append(try $1.dataIdentity(known: $0)) } : []
    }
    if isLeader {
      if let reason = lock?.unavailable {
        audience.note("warning: the output folder cannot be locked against a second run (\(reason))")
      }
      if let labels { audience.note(labels.summary) }
      for line in notes + adapted.loadReport.notes(configuration.model) { audience.note(line) }
    }
  }

  /// Makes a stage the present one.
  private static func begin(
    _ index: Int, of stages: [Stage], _ data: RunData, _ adapted: AdaptedModel, _ configuration: RunConfiguration,
    features known: FeatureCache?, _ communicator: any Communicator, _ backend: any Backend, _ audience: any Audience,
    _ profile: Profile?
  ) throws -> Present {
    adapted.begin(stage: index)
    var inputs = stages[index].inputs
    func note(_ line: String) { if communicator.rank == 0 { audience.note(line) } }
    let teacher = try stages[index].configuration.train.objective.distillation.flatMap {
      $0.weight.isAsked ? try Teacher($0, for: adapted.model, precision: configuration.precision, backend) : nil
    }
    var features: FeatureCache?
    if stages[index].configuration.data.augment != nil {
      if configuration.cache.features != .off, adapted.model.eyes?.hasConstantFeatures == true {
        note(
          "features of pictures are not kept\(stages[index].configuration.title): data.augment changes pictures each time"
        )
      }
    } else if teacher == nil {  // a teacher has to see the pictures themselves
      features =
        known
        ?? stages[index].images.flatMap { configuration.featureCache(for: adapted.model, $0, backend, note: note) }
    }
    inputs?.processor.features = features?.store
    let states = configuration.stateCache(for: adapted, stages[index].labelled, backend) { line in
      if communicator.rank == 0 { audience.note(line) }
    }
    // Held-out pictures are seen as they are.
    var unchanged = inputs
    unchanged?.processor.augmentation = nil
    let evaluation = try RunEvaluation(
      configuration, stages[index].configuration, data, adapted.model, unchanged, features: features, states: states,
      communicator, backend
    ) { line in
      if communicator.rank == 0 { audience.note(line) }
    }
    return Present(
      stage: index, inputs: inputs, samples: try stages[index].samples(inputs, features?.store, states),
      features: features,
      trainer: Trainer(
        adapted, stages[index].plan, features: features, states: states, teacher: teacher?.model, communicator, backend,
        profile: profile),
      states: states, evaluation: evaluation)
  }

  func begin(stage index: Int) throws {
    guard index != present.stage else { return }
    // Features of pictures stay what they are where no stage trains the vision encoder.
    let changes = adapted.tuned.contains { MultimodalModel.part(of: $0.name) == .vision }
    if changes { present.features?.store.finish() }
    present = try TrainingRun.begin(
      index, of: stages, data, adapted, configuration, features: changes ? nil : present.features, communicator,
      backend, audience, profile)
  }

  /// Says which stage begins, how its parts are trained, and what is odd about it.
  private func announce() {
    guard isLeader else { return }
    let stage = stages[present.stage]
    if let name = stage.plan.stage {
      audience.note(
        "stage \(present.stage + 1) of \(stages.count), '\(name)': steps \(stage.plan.stepsBefore + 1) to \(stage.plan.lastStep)"
      )
    }
    for line in adapted.partsTable(learningRates: stage.plan.parts.mapValues(\.learningRate)) { audience.note(line) }
    audience.note(adapted.parameterLine)
    audience.note(trainer.optimizer.summary)
    warnAboutRanks(stage.plan)
  }

  private func warnAboutRanks(_ plan: TrainingPlan) {
    let microBatches = (plan.globalBatch + plan.microBatch - 1) / plan.microBatch
    guard communicator.count > microBatches else { return }
    audience.note(
      "warning: \(communicator.count) ranks share \(microBatches) micro-batches a step: \(communicator.count - microBatches) idle; "
        + "raise train.global_batch or lower train.micro_batch")
  }

  // MARK: The run

  /// Lists the records that the run trains without, or takes away the list of an earlier start that had some.
  private func writeSkipped() throws {
    let path = "\(configuration.output)/\(SkippedFile.name)"
    guard configuration.runStages.contains(where: { $0.data.onError == .skip }) else {
      unlink(path)
      return
    }
    try writeDurably(stages.map { SkippedFile.lines($0.skipped, stage: $0.plan.stage) }.joined(), to: path)
  }

  /// Trains to the end, or until a stop is asked for.
  public func run(resume: Resume, stop: StopRequest) throws -> Ending {
    let ending = try go(resume, stop)
    // A file that came with the last step asks nothing of the next start; that of a study is for all of its runs.
    if isLeader, ending == .stopped || stop.output == configuration.output { stop.clear() }
    try communicator.barrier()
    return ending
  }

  private func go(_ resume: Resume, _ stop: StopRequest) throws -> Ending {
    let checkpoint = try restore(resume)
    announce()
    let last = stages.last?.plan.lastStep ?? 0
    let steps = trainer.step + 1..<max(last, trainer.step) + 1
    var trace: TraceRecording?
    if let traceRequest, let profile, !steps.isEmpty {
      trace = try TraceRecording(traceRequest, profile, run: steps, communicator)
    }
    let output = configuration.output
    history = try EvaluationHistory(
      configuration.evaluate, steps: last, log: output + "/metrics.jsonl", upTo: trainer.step, communicator)
    let log = try communicator.agreeOnSuccess { () -> MetricsLog? in
      guard communicator.rank == 0 else { return nil }
      try writeDurably(configuration.yaml, to: output + "/run.yaml")
      try writeSkipped()
      return try MetricsLog(output + "/metrics.jsonl", after: trainer.step)
    }
    if let warning = log?.warning { audience.note(warning) }
    if let checkpoint { try publish(learned: checkpoint.learned()) }
    let events =
      isLeader && configuration.log.tensorboard
      ? try EventFileWriter(folder: output + "/tensorboard", firstStep: trainer.step > 0 ? trainer.step + 1 : nil) : nil
    guard trainer.step < last else {
      if isLeader { audience.note("already trained for \(trainer.step) of \(last) steps: nothing is left to do") }
      return .finished
    }
    if let reason = history.reasonToEnd {
      if isLeader { audience.note("ended early after step \(trainer.step): \(reason): nothing is left to do") }
      return .finished
    }
    var isStopping = false
    while !isStopping, trainer.step < last, history.reasonToEnd == nil {
      if trainer.step == trainer.plan.lastStep {
        try begin(stage: present.stage + 1)
        announce()
      }
      isStopping = try runStage(of: last, stop, log, events, trace)
    }
    for line in try trace?.finish() ?? [] { audience.note(line) }
    if let reason = history.reasonToEnd {
      if isLeader {
        audience.note("ended early after step \(trainer.step): \(reason); its checkpoint is \(checkpoints)/best")
      }
      return .finished
    }
    guard isStopping, trainer.step < last else { return .finished }
    if isLeader { audience.note("stopped after step \(trainer.step) as asked; start again to go on") }
    return .stopped
  }

  /// Does the steps of the present stage that are left.
  /// - Returns: whether a stop was asked for.
  private func runStage(
    of last: Int, _ stop: StopRequest, _ log: MetricsLog?, _ events: EventFileWriter?, _ trace: TraceRecording?
  ) throws -> Bool {
    let plan = trainer.plan
    let loader = makeLoader(steps: trainer.step + 1 - plan.stepsBefore..<plan.steps + 1)
    defer {
      loader.cancel()
      features?.store.finish()
      present.states?.store?.finish()
      warnAboutFeatures()
    }
    var isStopping = false
    while trainer.step < plan.lastStep, !isStopping, history.reasonToEnd == nil {
      try trace?.willDo(step: trainer.step + 1)
      var report = try trainer.trainStep(loader)
      var notes = try present.evaluation?(&report) ?? []
      let (isBest, more) = try history.add(report)
      notes += more
      try log?.append(report)
      if let events { try events.add(report) }
      if isLeader {
        audience.progress(report, of: last)
        notes.forEach(audience.note)
      }
      warnAboutFeatures()
      isStopping = try stop.isMade(onAny: communicator)
      let every = configuration.checkpoint.every
      let isLast = trainer.step == plan.lastStep || history.reasonToEnd != nil
      if isStopping || isLast || isBest || every > 0 && trainer.step % every == 0 {
        try log?.sync()
        try events?.flush()
        try profile.phase(.checkpoint) { try save() }
      }
      for line in try trace?.didDo(step: trainer.step) ?? [] { audience.note(line) }
    }
    return isStopping
  }

  /// - Parameter steps: counted from the start of the present stage.
  func makeLoader(steps: Range<Int>) -> Loader {
    stages[present.stage].makeLoader(
      present.samples, steps: steps, rank: communicator.rank, of: communicator.count)
  }

  private func warnAboutFeatures() {
    if isLeader, let warning = features?.takeWarning() ?? present.states?.takeWarning() { audience.note(warning) }
  }
}
