import Adapters
import Batching
import Checkpoints
import Datasets
import EventFiles
import Foundation
import Ground
import Models
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
  /// What makes samples of conversations; nil where texts with labels are trained on.
  public let inputs: ModelInputs?
  /// The labels of the texts; nil for conversations.
  public let labels: LabelSet?
  /// What keeps the features of pictures, where they are kept.
  public let features: FeatureCache?
  public let backend: any Backend
  let communicator: any Communicator
  private let audience: any Audience
  private let samples: any SampleSource
  private let sampler: Sampler
  let trainer: Trainer
  private var lock: OutputLock?
  let profile: Profile?
  private let traceRequest: TraceRequest?
  private var isLeader: Bool { communicator.rank == 0 }
  private var checkpoints: String { configuration.output + "/checkpoints" }

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
    labels = data.labels
    let adapted = try AdaptedModel(data.folder, methods: configuration.methods)
    self.adapted = adapted
    var inputs = try data.inputs(adapted.model, maxLength: configuration.data.maxLength)
    let samples = try data.samples(adapted.model, inputs, maxLength: configuration.data.maxLength)
    sampler = try Sampler(
      counts: samples.counts, weights: configuration.data.train.map(\.weight), shuffle: configuration.data.shuffle,
      seed: UInt64(configuration.train.seed))
    var plan = configuration.plan(epochLength: sampler.epochLength)
    if let labels { plan.objective = LabelLoss(labels.problem, weight: plan.objective.weight) }
    if adapted.trainable.isEmpty {
      throw Fault(
        .badConfiguration, "no parameter of this model would be trained", at: "train.parts",
        "train a part that the model has")
    }
    let notes = try TrainingRun.check(samples, communicator, threads: threads)
    let precision: DType = configuration.train.precision == .bfloat16 ? .bfloat16 : .float32
    try adapted.loadWeights(
      adapter: configuration.adapter, seed: plan.seed, precision: precision,
      converted: cache.map { SharedWeights(in: $0, communicator, backend, note: audience.note).callAsFunction },
      backend: backend)
    features = inputs.flatMap { inputs in
      configuration.featureCache(for: adapted.model, inputs.processor, backend) { line in
        if communicator.rank == 0 { audience.note(line) }
      }
    }
    inputs?.processor.features = features?.store
    self.inputs = inputs
    self.samples = try data.samples(adapted.model, inputs, maxLength: configuration.data.maxLength)
    trainer = Trainer(adapted, plan, features: features, communicator, backend, profile: profile)
    if isLeader {
      if let reason = lock?.unavailable {
        audience.note("warning: the output folder cannot be locked against a second run (\(reason))")
      }
      if let labels { audience.note(labels.summary) }
      for line in notes + adapted.loadReport.notes(configuration.model) { audience.note(line) }
      for line in adapted.partsTable(learningRates: plan.parts.mapValues(\.learningRate)) { audience.note(line) }
      audience.note(adapted.parameterLine)
      warnAboutRanks(plan)
    }
  }

  /// Every record's structure and tokens are looked at before step 1, each rank taking a share.
  /// - Returns: what is to be said of them.
  private static func check(
    _ samples: any SampleSource, _ communicator: any Communicator, threads: Int
  ) throws -> [String] {
    try communicator.agreeOnSuccess {
      let mine = share(of: samples.count, rank: communicator.rank, of: communicator.count)
      let faults = samples.faults(in: mine, most: 1, threads: threads)
      // The first fault in file order is told by all ranks alike, whoever found it.
      let own = faults.first.map { "\($0.index) \($0.fault.json)" } ?? ""
      for line in try communicator.allGather(Array(own.utf8)) where !line.isEmpty {
        let text = String(decoding: line, as: UTF8.self)
        let start = text.firstIndex(of: " ") ?? text.startIndex
        throw try Fault(JSON(parsing: String(text[start...]), at: "a rank's fault"))
      }
    }
    return try samples.notes { Int(try communicator.allReduceSum([Double($0)])[0]) }
  }

  private func warnAboutRanks(_ plan: TrainingPlan) {
    let microBatches = (plan.globalBatch + plan.microBatch - 1) / plan.microBatch
    guard communicator.count > microBatches else { return }
    audience.note(
      "warning: \(communicator.count) ranks share \(microBatches) micro-batches a step: \(communicator.count - microBatches) idle; "
        + "raise train.global_batch or lower train.micro_batch")
  }

  // MARK: The run

  /// Trains to the end, or until a stop is asked for.
  public func run(resume: Resume, stop: StopRequest) throws -> Ending {
    try restore(resume)
    let plan = trainer.plan
    let steps = trainer.step + 1..<max(plan.steps, trainer.step) + 1
    var trace: TraceRecording?
    if let traceRequest, let profile, !steps.isEmpty {
      trace = try TraceRecording(traceRequest, profile, run: steps, communicator)
    }
    let output = configuration.output
    let log = try communicator.agreeOnSuccess { () -> MetricsLog? in
      guard communicator.rank == 0 else { return nil }
      try writeDurably(configuration.yaml, to: output + "/run.yaml")
      return try MetricsLog(output + "/metrics.jsonl", after: trainer.step)
    }
    let events =
      isLeader && configuration.log.tensorboard
      ? try EventFileWriter(folder: output + "/tensorboard", firstStep: trainer.step > 0 ? trainer.step + 1 : nil) : nil
    guard trainer.step < plan.steps else {
      if isLeader { audience.note("already trained for \(trainer.step) of \(plan.steps) steps: nothing is left to do") }
      return .finished
    }
    let loader = makeLoader(steps: steps)
    defer {
      loader.cancel()
      features?.store.finish()
      warnAboutFeatures()
    }

    var isStopping = false
    while trainer.step < plan.steps, !isStopping {
      try trace?.willDo(step: trainer.step + 1)
      let report = try trainer.trainStep(loader.next)
      try log?.append(report)
      if let events { try events.add(report) }
      if isLeader { audience.progress(report, of: plan.steps) }
      warnAboutFeatures()
      isStopping = try communicator.allReduceSum([stop.isMade ? 1 : 0])[0] > 0
      let every = configuration.checkpoint.every
      if isStopping || trainer.step == plan.steps || every > 0 && trainer.step % every == 0 {
        log?.sync()
        try events?.flush()
        try profile.phase(.checkpoint) { try save() }
      }
      for line in try trace?.didDo(step: trainer.step) ?? [] { audience.note(line) }
    }
    for line in try trace?.finish() ?? [] { audience.note(line) }
    guard isStopping, trainer.step < plan.steps else { return .finished }
    if isLeader {
      stop.clear()
      audience.note("stopped after step \(trainer.step) as asked; start again to go on")
    }
    try communicator.barrier()
    return .stopped
  }

  func makeLoader(steps: Range<Int>) -> Loader {
    let samples = samples
    return Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: trainer.plan.globalBatch, microBatch: trainer.plan.microBatch),
      steps: steps, rank: communicator.rank, of: communicator.count, lookAhead: .init(threads: 1),
      makeSample: { try samples.sample($0) })
  }

  private func warnAboutFeatures() {
    if isLeader, let warning = features?.takeWarning() { audience.note(warning) }
  }

  private func save() throws {
    try trainer.save(
      in: checkpoints, configurationHash: configuration.hash, extras: labels.checkpointExtras(configuration.yaml),
      communicator, backend)
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      if adapted.isAdapter { try adapted.saveAdapter(to: configuration.output + "/adapter", backend: backend) }
      try CheckpointFolder.prune(in: checkpoints, keep: configuration.checkpoint.keep)
    }
  }

  private func restore(_ resume: Resume) throws {
    let found = try communicator.agreeOnSuccess { () -> String in
      guard communicator.rank == 0 else { return "" }
      switch resume {
      case .never:
        try putEarlierRunAside()
        return ""
      case .from(let folder): return folder
      case .auto:
        return try CheckpointFolder.newestValid(in: checkpoints) { folder, why in
          audience.note("warning: checkpoint is not used (\(folder)): \(why.what)")
        }?.folder ?? ""
      }
    }
    let folder = String(decoding: try communicator.broadcast(Array(found.utf8)), as: UTF8.self)
    guard !folder.isEmpty else { return }
    try communicator.agreeOnSuccess {
      let checkpoint = try Checkpoint(folder: folder)
      try labels.requireSame(as: checkpoint)
      if communicator.rank == 0, checkpoint.header.configurationHash != configuration.hash {
        noteDifferences(checkpoint)
      }
      try trainer.restore(checkpoint, backend)
    }
    if isLeader { audience.note("resumed after step \(trainer.step) from \(folder)") }
  }

  /// Moves what an earlier run left in the output folder to a folder of its own in it: nothing is lost.
  private func putEarlierRunAside() throws {
    let (output, files) = (configuration.output, FileManager.default)
    let left = ["run.yaml", "metrics.jsonl", "tensorboard", "checkpoints", "adapter"].filter {
      files.fileExists(atPath: "\(output)/\($0)")
    }
    guard !left.isEmpty else { return }
    var number = 1
    while files.fileExists(atPath: "\(output)/earlier-\(number)") { number += 1 }
    let folder = "\(output)/earlier-\(number)"
    try makeFolder(folder)
    for name in left where rename("\(output)/\(name)", "\(folder)/\(name)") != 0 {
      throw Fault(.cannotWrite, "cannot move '\(name)': \(systemReason())", at: output, "check the permissions")
    }
    syncFolder(of: folder)
    audience.note("the earlier run of this output folder is now in \(folder)")
  }

  private func noteDifferences(_ checkpoint: Checkpoint) {
    guard let text = checkpoint.header.extras["run_file"]?.string,
      let earlier = try? RunConfiguration(parsing: text)
    else { return }
    for difference in configuration.differences(from: earlier) { audience.note("warning: resuming, but \(difference)") }
  }
}

extension EventFileWriter {
  func add(_ report: StepReport) throws {
    var scalars: [(tag: String, value: Float)] = [
      ("loss", Float(report.loss)), ("grad_norm", Float(report.gradientNorm)),
      ("tokens_per_second", Float(report.tokensPerSecond)), ("seconds", Float(report.seconds)),
    ]
    for (name, value) in report.losses { scalars.append(("losses/\(name)", Float(value))) }
    for (part, value) in report.gradientNorms { scalars.append(("grad_norms/\(part)", Float(value))) }
    for (part, value) in report.learningRates { scalars.append(("learning_rates/\(part)", Float(value))) }
    try self.scalars(step: report.step, scalars)
  }
}

extension Fault {
  var json: JSON {
    [
      "kind": .integer(Int(kind.rawValue)), "what": .string(what), "place": place.map(JSON.string) ?? .null,
      "remedy": .string(remedy),
    ]
  }

  init(_ json: JSON) throws {
    let kind = json["kind"]?.integer.flatMap { Kind(rawValue: Int32(truncatingIfNeeded: $0)) } ?? .internalError
    self.init(kind, json["what"]?.string ?? "", at: json["place"]?.string, json["remedy"]?.string ?? "")
  }
}
