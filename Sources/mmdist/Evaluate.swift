import Adapters
import ArgumentParser
import Batching
import Checkpoints
import Datasets
import Evaluation
import Foundation
import Ground
import Metrics
import Models
import Parallel
import RunFile
import Tensors
import Training

struct Evaluate: ParallelCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval", abstract: "Evaluates a model, a checkpoint or an adapter on records.",
    discussion: """
      Without --checkpoint and --adapter it is the base model, with the run file's adapter if it has one. The report holds
      one entry a record, in file order: {"metrics": {…}, "samples": [{"index", "nll", "tokens"}]}; of records with labels
      {"metrics": {loss, accuracy, …}, "labels": […], "samples": [{"index", "loss", "logits", "label", "prediction"}]}.
      Of CLIP and SigLIP it is retrieval: {"metrics": {image_to_text_r1, …}, "samples": [{"index", "image_to_text",
      "text_to_image": […]}]}, places from 1; with --metrics zero_shot the classes of pictures, by the column label.

      Metrics of texts ask each record's last question and compare what the model says with what the record says there,
      or with its own list "answers" or "references"; samples then hold question, prediction, references and each metric.

        mmdist eval -c run.yaml --adapter run/adapter --metrics loss,vqa --image-use --output report.json
        mmdist eval -c run.yaml --metrics exact_match --group-by patient.sex --require "exact_match>=0.6" --output r.json
      """)

  @OptionGroup var runFile: RunFileOptions
  @Option(help: ArgumentHelp("A checkpoint of this run file.", valueName: "DIR")) var checkpoint: String?
  @Flag(help: "The averages of the checkpoint's weights (train.ema) instead of the weights.") var ema = false
  @Option(help: ArgumentHelp("A PEFT adapter, or a head on frozen features.", valueName: "DIR")) var adapter: String?
  @Option(
    help: ArgumentHelp("Which of several bottleneck adapters are at work; default: all.", valueName: "NAME,…"))
  var active: String?
  @Option(help: ArgumentHelp("Records instead of the run file's validation data.", valueName: "FILE")) var data: String?
  @Option(help: ArgumentHelp("Folder of that file's images; default: the file's own.", valueName: "DIR")) var images:
    String?
  @Option(
    help: ArgumentHelp(
      "Names of classes and templates for zero_shot; default: the labels in the data.", valueName: "F.json"))
  var classes: String?
  @OptionGroup var answers: AnswerOptions
  @OptionGroup var more: EvaluationOptions
  @Option(help: ArgumentHelp("Where the report goes.", valueName: "report.json")) var output: String

  func validate() throws {
    if checkpoint != nil && adapter != nil { throw ValidationError("give --checkpoint or --adapter, not both") }
    if ema && checkpoint == nil { throw ValidationError("--ema is of a checkpoint: give --checkpoint") }
    guard answers.asksForAnswers || more.imageUse || answers.jsonSchema == nil else {
      throw ValidationError("--json-schema is for answers: add a metric of them to --metrics, such as json_valid")
    }
    guard answers.asksForAnswers || more.savePredictions == nil else {
      throw ValidationError("--save-predictions is of answers: add a metric of them to --metrics, such as exact_match")
    }
  }

  func run() throws {
    try withWorld { communicator in
      var configuration = try runFile.require()
      let head = try adapter.flatMap { HeadFolder.isOne($0) ? try HeadFolder($0) : nil }
      if let head { (configuration.head, configuration.adapter) = (head.head, nil) }
      if communicator.rank == 0 {
        try prepareReport(output)
        if let predictions = more.savePredictions { try requireWritable(predictions) }
      }
      let saved = try checkpoint.map { try openCheckpoint($0, communicator) }
      let backend = try CPUBackend(threads: ThreadCount(communicator).threads)
      let weights = SharedWeights(in: configuration.cacheFolder, communicator, backend) { note in
        if note.hasPrefix("warning:") { writeToStandardError("mmdist: \(note)\n") } else { printLine(note) }
      }
      let requirements = try more.requirements()
      if try ModelFolder(configuration.model).isDual {
        try evaluatePairs(configuration, saved, requirements, communicator, backend, weights)
        return 0
      }
      if classes != nil {
        throw Fault(
          .usage, "classes are of models that compare pictures with captions", at: "--classes", "leave --classes out")
      }
      let all = try OpenData(
        evaluated(configuration), at: data == nil ? "data.validation" : "--data",
        reading: configuration.labelContent(for: ModelFolder(configuration.model)), cache: configuration.cacheFolder)
      try all.requireSame(on: communicator)
      let other = try compared(with: all, configuration, communicator)
      let data = try model(for: all, configuration, head?.labels ?? saved.flatMap { LabelSet(of: $0) }, communicator)
      let adapted = try LoadedModel(
        configuration, data.folder, checkpoint: saved, ema ? .average : .trained,
        adapter: head == nil ? adapter : nil, converted: weights.callAsFunction, backend
      ).adapted
      try head?.load(into: adapted, backend)
      try adapted.requireSameWeights(as: communicator, at: place(of: saved, configuration), backend)
      if let active { try adapted.activate(names(in: active)) }
      let maxLength = configuration.lastData.maxLength
      var inputs = try data.inputs(of: all, adapted.model, configuration.lastData)
      let samples = try data.samples(of: all, adapted.model, inputs, maxLength: maxLength, decodes: true)
      let skipped = SkippedRecords(
        faults: try faultyRecords(
          samples, configuration.lastData.onError, communicator, threads: ThreadCount(communicator).threads),
        count: samples.count)
      skipped.tell(communicator, listedIn: "the report")
      let open = try all.without(skipped.faults)
      let features = inputs?.processor.vision.flatMap {
        configuration.featureCache(for: adapted.model, $0.processor, backend) { say(communicator, $0) }
      }
      inputs?.processor.features = features?.store
      let report: JSON
      switch try data.samples(of: open, adapted.model, inputs, maxLength: maxLength) {
      case let labelled as LabelledSamples:
        if checkpoint == nil, adapter ?? configuration.adapter == nil {
          for note in adapted.loadReport.notes(configuration.model) { say(communicator, note) }
        }
        let states = configuration.stateCache(for: adapted, labelled, backend) { say(communicator, $0) }
        let evaluation = try LabelEvaluation(
          of: adapted.model, labelled.keeping(states?.store), states: states, communicator, backend)
        states?.store?.finish()
        if let warning = states?.takeWarning() { say(communicator, warning) }
        report = try labelReport(evaluation, labelled.records, more, communicator)
      default:
        guard case .conversations(let records) = open, let inputs else {
          preconditionFailure("eval: conversations come with their inputs")
        }
        let exam = ConversationExam(
          adapted: adapted, inputs: inputs, features: features, options: answers.settings, communicator: communicator,
          backend: backend)
        report = try exam.report(records, more, other: other)
        features?.store.finish()
        if let warning = features?.takeWarning() { say(communicator, warning) }
      }
      if communicator.rank == 0 { try writeDurably(skipped.entered(in: report).indented, to: output) }
      try Requirement.check(requirements, report: report)
      return 0
    }
  }

  /// How well a dual encoder brings pictures and texts together.
  private func evaluatePairs(
    _ configuration: RunConfiguration, _ saved: Checkpoint?, _ requirements: [Requirement],
    _ communicator: any Communicator, _ backend: any Backend, _ weights: SharedWeights
  ) throws {
    let known = ["loss"] + PairEvaluation.metrics
    guard answers.names.allSatisfy(known.contains), more.groupBy.isEmpty, !more.imageUse, more.ood == nil,
      more.savePredictions == nil, answers.jsonSchema == nil
    else {
      throw Fault(
        .usage, "a model that compares pictures with captions has figures of its own", at: "mmdist eval",
        "use --metrics \(PairEvaluation.metrics.joined(separator: ",")) alone")
    }
    guard classes == nil || answers.names.contains("zero_shot") else {
      throw Fault(.usage, "classes are of the metric zero_shot", at: "--classes", "add it to --metrics")
    }
    let adapted = try LoadedModel(
      configuration, ModelFolder(configuration.model), checkpoint: saved, ema ? .average : .trained,
      adapter: adapter, converted: weights.callAsFunction, backend
    ).adapted
    try adapted.requireSameWeights(as: communicator, at: place(of: saved, configuration), backend)
    let evaluation = try PairEvaluation(
      adapted, evaluated(configuration), answers.names, classes: classes, configuration.lastData,
      cache: configuration.cacheFolder, communicator, backend)
    evaluation.skipped.tell(communicator, listedIn: "the report")
    say(communicator, evaluation.summary)
    if communicator.rank == 0 {
      try writeDurably(evaluation.skipped.entered(in: evaluation.report).indented, to: output)
    }
    try Requirement.check(requirements, report: evaluation.report)
  }

  /// Where the trained weights are from.
  private func place(of saved: Checkpoint?, _ configuration: RunConfiguration) -> String {
    saved?.folder ?? adapter ?? configuration.adapter ?? configuration.model
  }

  /// The files to evaluate on.
  private func evaluated(_ configuration: RunConfiguration) throws -> [DataSource] {
    let own = configuration.lastData
    var sources = own.validation
    if let data {
      // Its columns are called as those of the run file's own data.
      var source = own.validation.first ?? own.train[0]
      source.path = data
      source.dataset = nil
      source.images = isFolder(data) ? data : parentFolder(of: data)
      source.format = source.format == .classification ? .classification : .auto
      sources = [source]
    }
    guard !sources.isEmpty else {
      throw Fault(.usage, "no data to evaluate on", at: "data.validation", "name a file by --data or in the run file")
    }
    if let images { for index in sources.indices { sources[index].images = images } }
    return sources
  }

  /// The records of `--ood`; nil without it.
  /// - Throws: `Fault(.usage)` for what records with labels cannot be asked.
  private func compared(
    with open: OpenData, _ configuration: RunConfiguration, _ communicator: any Communicator
  ) throws -> RecordSet? {
    guard case .conversations = open else {
      guard answers.names == ["loss"], !more.imageUse, more.ood == nil, more.savePredictions == nil,
        answers.jsonSchema == nil
      else {
        throw Fault(
          .usage, "records with labels have figures of their own", at: "mmdist eval",
          "leave out --metrics, --image-use, --ood, --save-predictions and --json-schema")
      }
      return nil
    }
    guard let ood = more.ood else { return nil }
    return try openConversations(ood, images: more.oodImages, at: "--ood", communicator)
  }

  /// The model as the records ask for it: labels are those of the head or checkpoint, or follow from the model and the
  /// training data as in training.
  private func model(
    for open: OpenData, _ configuration: RunConfiguration, _ labels: LabelSet?, _ communicator: any Communicator
  ) throws -> RunData {
    guard case .labelled = open else { return RunData(try ModelFolder(configuration.model), labels: nil) }
    if let labels { return RunData(try configuration.folder(for: labels), labels: labels) }
    let training = try RunData(configuration, communicator)
    guard training.labels != nil else {
      throw Fault(
        .badConfiguration, "the training data are conversations, and these are records with labels", at: "mmdist eval",
        "evaluate on data of the same kind")
    }
    return training
  }
}

extension RunConfiguration {
  /// The data of the last stage.
  fileprivate var lastData: DataConfiguration { runStages[runStages.count - 1].data }
}

/// A model for use, not for training: the base model, with an adapter or the weights of a checkpoint.
struct LoadedModel {
  let adapted: AdaptedModel

  /// From a run file's model, as the data ask for it.
  init(
    _ configuration: RunConfiguration, _ folder: ModelFolder, checkpoint: Checkpoint?, _ kind: SavedWeights = .trained,
    adapter: String?, converted: WeightConversion.Provider? = nil, _ backend: any Backend
  ) throws {
    let precision = configuration.precision
    guard let checkpoint else {
      try self.init(
        folder, adapter: adapter ?? configuration.adapter, quantised: configuration.quantised,
        seed: UInt64(configuration.train.seed), precision: precision, converted: converted, backend)
      return
    }
    try self.init(checkpoint: checkpoint, kind, configuration, precision: precision, converted: converted, backend)
  }

  /// From a model folder; what the adapter holds decides which layers are wrapped.
  /// - Parameter seed: of a classifier that neither folder nor adapter has.
  init(
    _ folder: ModelFolder, adapter: String?, quantised: Set<ModelPart> = [], seed: UInt64 = 0, precision: DType,
    converted: WeightConversion.Provider? = nil, _ backend: any Backend
  ) throws {
    let methods = try adapter.map { try AdaptedModel.methods(ofAdapter: $0, for: folder) } ?? [:]
    adapted = try AdaptedModel(
      folder, stages: [methods], quantised: quantised, carried: adapter.map(AdaptedModel.wholeParts) ?? [])
    try adapted.loadWeights(
      adapter: adapter, seed: seed, precision: precision, converted: converted, isForTraining: false, backend: backend)
  }

  /// The trained weights of a checkpoint over the model that its run file names.
  init(
    checkpoint saved: Checkpoint, _ kind: SavedWeights, _ configuration: RunConfiguration, precision: DType,
    converted: WeightConversion.Provider? = nil, _ backend: any Backend
  ) throws {
    let folder = try LabelSet(of: saved).map(configuration.folder) ?? ModelFolder(configuration.model)
    adapted = try AdaptedModel(
      folder, stages: configuration.methods, quantised: configuration.quantised, carried: carriedParts(of: saved))
    // What LoRA's PiSSA and OLoRA starts take from the model's weights depends on the run's seed.
    let seed = UInt64(configuration.runStages[0].train.seed)
    try adapted.loadWeights(adapter: nil, seed: seed, precision: precision, converted: converted, backend: backend)
    try restoreWeights(of: adapted, from: saved, taking: kind, backend)
  }
}
