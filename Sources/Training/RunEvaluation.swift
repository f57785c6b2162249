import Batching
import Datasets
import Dispatch
import Evaluation
import Foundation
import Ground
import Models
import OrderedCollections
import Parallel
import RunFile
import Tensors
import Tokenizers

/// What is found out about a model on held-out records while it is trained.
///
/// It draws nothing from the streams of the training and changes nothing in it: the weights are the same bits with and without.
struct RunEvaluation {
  private enum HeldOut {
    case conversations(QuestionSet, MetricList, Answering)
    case labelled(LabelledSamples)
  }

  private let configuration: EvaluateConfiguration
  private let heldOut: HeldOut?
  private let probe: ImageProbe?
  private let probeInterval: Int
  private let model: MultimodalModel
  private let features: FeatureCache?
  private let states: StateCache?
  private let communicator: any Communicator
  private let backend: any Backend

  /// Opens the validation data of a stage.
  /// - Parameter note: told why a look that nobody asked for is not taken.
  /// - Returns: nil where nothing is to be evaluated.
  /// - Throws: `Fault` for validation data that cannot be read, for metrics that are not known.
  init?(
    _ run: RunConfiguration, _ stage: StageConfiguration, _ data: RunData, _ model: MultimodalModel,
    _ inputs: ModelInputs?,
    features: FeatureCache?, states: StateCache?, _ communicator: any Communicator, _ backend: any Backend,
    note: (String) -> Void
  ) throws {
    let configuration = run.evaluate
    self.configuration = configuration
    (self.model, self.features, self.communicator, self.backend) = (model, features, communicator, backend)
    self.states = states
    probeInterval = configuration.probe.interval(globalBatch: stage.train.globalBatch)
    let validation = stage.data.validation
    guard !validation.isEmpty else {
      guard configuration.every == 0 else {
        throw Fault(
          .badConfiguration, "there is no validation data", at: "evaluate.every", "name a file under data.validation")
      }
      return nil
    }
    guard configuration.every > 0 else {
      heldOut = nil
      guard model.eyes != nil, inputs != nil, probeInterval > 0 else { return nil }
      do {
        // What one rank alone cannot read is looked at by none.
        probe = try communicator.agreeOnSuccess {
          try RunEvaluation.probe(
            run, RunEvaluation.open(run, stage, data, model, inputs, communicator, note: note), inputs)
        }
      } catch let fault as Fault where configuration.probe.every == nil {
        note("warning: whether the pictures are used is not looked at: \(fault)")
        return nil
      }
      if probe == nil { return nil }
      return
    }
    let open = try RunEvaluation.open(run, stage, data, model, inputs, communicator, note: note)
    switch open {
    case .conversations(let records):
      guard let inputs else { throw RunEvaluation.mixed }
      let questions = QuestionSet(records, inputs.processor).spread(configuration.samples)
      let metrics = try MetricList(configuration.metrics, at: "evaluate.metrics", .badConfiguration)
      let ends = try endTokens(modelFolder: run.model, inputs.tokenizer, inputs.template)
      heldOut = .conversations(
        questions, metrics,
        Answering(
          model, inputs.tokenizer, endTokens: ends, maxNewTokens: configuration.maxNewTokens, features: features,
          backend))
      if let best = configuration.best, !metrics.figures.contains(best) {
        throw Fault(
          .badConfiguration,
          "'evaluate.best' names no figure of 'evaluate.metrics': '\(best)'"
            + didYouMean(best, among: metrics.figures), at: "evaluate.best",
          "use \(metrics.figures.joined(separator: ", "))")
      }
      try RunEvaluation.check(questions, communicator)
    case .labelled:
      let samples = try data.samples(of: open, model, nil, maxLength: stage.data.maxLength, decodes: false)
      guard let texts = samples as? LabelledSamples, inputs == nil else { throw RunEvaluation.mixed }
      heldOut = .labelled(texts.keeping(states?.store))
      try RunEvaluation.check(texts, communicator)
    case .pairs:
      throw Fault(
        .badConfiguration, "pictures with captions are not evaluated while training", at: "evaluate.every",
        "set it to 0, and use mmdist eval on checkpoints")
    }
    probe = try model.eyes == nil ? nil : RunEvaluation.probe(run, open, inputs)
  }

  /// The validation data, without faulty records where `data.on_error` says so.
  private static func open(
    _ run: RunConfiguration, _ stage: StageConfiguration, _ data: RunData, _ model: MultimodalModel,
    _ inputs: ModelInputs?, _ communicator: any Communicator, note: (String) -> Void
  ) throws -> OpenData {
    let all = try OpenData(
      stage.data.validation, at: "data.validation", reading: run.labelContent(for: data.folder), cache: run.cacheFolder)
    try all.requireSame(on: communicator)
    if case .conversations = all, inputs == nil { throw mixed }
    if case .labelled = all, inputs != nil || data.labels == nil { throw mixed }
    guard stage.data.onError == .skip else { return all }
    let samples = try data.samples(of: all, model, inputs, maxLength: stage.data.maxLength, decodes: true)
    let faulty = try faultyRecords(samples, .skip, communicator, threads: 1)
    if !faulty.isEmpty {
      note(
        "warning: \(faulty.count) of \(samples.count) held-out records are faulty and are left out; mmdist check lists them"
      )
    }
    return try all.without(faulty)
  }

  private static var mixed: Fault {
    Fault(
      .badConfiguration, "the validation data are of another kind than the training data", at: "data.validation",
      "validate on what is trained on")
  }

  private static func probe(_ run: RunConfiguration, _ open: OpenData, _ inputs: ModelInputs?) throws -> ImageProbe? {
    guard case .conversations(let records) = open, let inputs, run.evaluate.probe.every != 0 else { return nil }
    return try ImageProbe(
      QuestionSet(records, inputs.processor), records: run.evaluate.probe.records, seed: UInt64(run.train.seed))
  }

  /// Looks at all held-out records before step 1; every rank takes a share, and all tell the first fault in file order.
  private static func check(_ samples: any SampleSource, _ communicator: any Communicator) throws {
    try communicator.agreeOnSuccess {
      let mine = share(of: samples.count, rank: communicator.rank, of: communicator.count)
      let own = samples.faults(in: mine, most: 1, threads: 1).first.map { "\($0.fault.json)" } ?? ""
      for line in try communicator.allGather(Array(own.utf8)) where !line.isEmpty {
        throw try Fault(JSON(parsing: String(decoding: line, as: UTF8.self), at: "a rank's fault"))
      }
    }
  }

  /// Evaluates after a step where it is time to, and enters what was found in the step's report.
  /// - Returns: what is to be said of it.
  func callAsFunction(_ report: inout StepReport) throws -> [String] {
    let began = DispatchTime.now().uptimeNanoseconds
    var notes: [String] = []
    if configuration.every > 0, report.step % configuration.every == 0, let heldOut {
      communicator.activity = "evaluation after step \(report.step)"
      let (figures, more, sentences) = try evaluate(heldOut)
      report.evaluation = figures
      report.evaluationImageUse = more
      let shown = figures.map { "\($0.key) \(String(format: "%.4f", $0.value))" }.joined(separator: ", ")
      notes = ["step \(report.step): on held-out records \(shown)"] + sentences
    }
    if let probe, probeInterval > 0, report.step % probeInterval == 0 {
      report.imageUse = try probe(model, features: features, communicator, backend)
    }
    guard report.evaluation != nil || report.imageUse != nil else { return [] }
    report.evaluationSeconds = Double(DispatchTime.now().uptimeNanoseconds - began) * 1e-9
    return notes
  }

  private func evaluate(
    _ heldOut: HeldOut
  ) throws -> (figures: OrderedDictionary<String, Double>, imageUse: JSON?, sentences: [String]) {
    switch heldOut {
    case .labelled(let texts):
      return (try LabelEvaluation(of: model, texts, states: states, communicator, backend).metrics, nil, [])
    case .conversations(let questions, let metrics, let answering):
      let found = try ConversationEvaluation(
        of: model, questions, metrics, answering: answering, features: features, communicator, backend)
      guard configuration.imageUse, model.eyes != nil else { return (found.figures(), nil, []) }
      let metric = metrics.ofTexts.first ?? MetricList.standard
      let known = metrics.ofTexts.isEmpty ? nil : found
      let use = try ImageUse(
        of: model, questions, metric, answering: answering, known: known, features: features, communicator, backend)
      return (found.figures(), use.json, [use.sentence])
    }
  }
}
