import Adapters
import ArgumentParser
import Batching
import Checkpoints
import Datasets
import Evaluation
import Foundation
import Ground
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
      one entry a record, in file order: {"metrics": {…}, "samples": [{"index", "nll", "tokens"}]}.
      """)

  @OptionGroup var runFile: RunFileOptions
  @Option(help: ArgumentHelp("A checkpoint of this run file.", valueName: "DIR")) var checkpoint: String?
  @Option(help: ArgumentHelp("A PEFT adapter.", valueName: "DIR")) var adapter: String?
  @Option(help: ArgumentHelp("Records instead of the run file's validation data.", valueName: "FILE")) var data: String?
  @Option(help: ArgumentHelp("Folder of that file's images; default: the file's own.", valueName: "DIR")) var images:
    String?
  @Option(help: ArgumentHelp("What to measure, separated by commas: loss.", valueName: "loss,…")) var metrics = "loss"
  @Option(help: ArgumentHelp("Where the report goes.", valueName: "report.json")) var output: String

  func validate() throws {
    for metric in metrics.split(separator: ",") where metric != "loss" {
      throw ValidationError("metric '\(metric)' is not known; use loss")
    }
    if checkpoint != nil && adapter != nil { throw ValidationError("give --checkpoint or --adapter, not both") }
  }

  func run() throws {
    try withWorld { communicator in
      let configuration = try runFile.require()
      // A report that cannot be written is told of before the work, not after it.
      let reports = (output as NSString).deletingLastPathComponent
      if communicator.rank == 0, !reports.isEmpty { try makeFolder(reports) }
      let backend = try CPUBackend(threads: ThreadCount(communicator).threads)
      let weights = SharedWeights(in: configuration.cacheFolder, communicator, backend) { note in
        if note.hasPrefix("warning:") { writeToStandardError("mmdist: \(note)\n") } else { printLine(note) }
      }
      let adapted = try LoadedModel(
        configuration, checkpoint: checkpoint, adapter: adapter, converted: weights.callAsFunction, backend
      ).adapted
      let own = configuration.runStages[configuration.runStages.count - 1].data
      var inputs = try ModelInputs(adapted.folder, adapted.model, maxLength: own.maxLength)
      let sources: [RecordSource]
      if let data {
        sources = [try RecordSource(path: data, images: images ?? (data as NSString).deletingLastPathComponent)]
      } else if own.validation.isEmpty {
        throw Fault(.usage, "no data to evaluate on", at: "data.validation", "name a file by --data or in the run file")
      } else {
        sources = try own.validation.map {
          try RecordSource(path: $0.path, images: images ?? $0.images, format: $0.format.rawValue)
        }
      }
      let features = configuration.featureCache(for: adapted.model, inputs.processor, backend) { say(communicator, $0) }
      inputs.processor.features = features?.store
      let evaluation = try LossEvaluation(
        of: adapted.model, records: RecordSet(sources), processor: inputs.processor, features: features, communicator,
        backend)
      features?.store.finish()
      if let warning = features?.takeWarning() { say(communicator, warning) }
      if communicator.rank == 0 { try writeDurably(evaluation.json.indented, to: output) }
      say(
        communicator, "loss \(evaluation.loss) over \(evaluation.tokens) tokens of \(evaluation.samples.count) records")
      return 0
    }
  }
}

/// A model for use, not for training: the base model, with an adapter or the weights of a checkpoint.
struct LoadedModel {
  let adapted: AdaptedModel

  /// From a run file's model.
  init(
    _ configuration: RunConfiguration, checkpoint: String?, adapter: String?,
    converted: WeightConversion.Provider? = nil, _ backend: any Backend
  ) throws {
    let precision = configuration.precision
    guard let checkpoint else {
      try self.init(
        model: configuration.model, adapter: adapter ?? configuration.adapter, quantised: configuration.quantised,
        precision: precision, converted: converted, backend)
      return
    }
    try self.init(checkpoint: checkpoint, configuration, precision: precision, converted: converted, backend)
  }

  /// From a model folder; what the adapter holds decides which layers are wrapped.
  init(
    model: String, adapter: String?, quantised: Set<ModelPart> = [], precision: DType,
    converted: WeightConversion.Provider? = nil, _ backend: any Backend
  ) throws {
    let folder = try ModelFolder(model)
    var methods: [ModelPart: any TuningMethod] = [:]
    if let adapter { methods = try AdaptedModel.methods(ofAdapter: adapter, for: folder) }
    adapted = try AdaptedModel(folder, methods: methods, quantised: quantised)
    try adapted.loadWeights(
      adapter: adapter, seed: 0, precision: precision, converted: converted, backend: backend)
  }

  /// The trained weights of a checkpoint over the model that its run file names.
  init(
    checkpoint: String, _ configuration: RunConfiguration, precision: DType,
    converted: WeightConversion.Provider? = nil, _ backend: any Backend
  ) throws {
    adapted = try AdaptedModel(
      ModelFolder(configuration.model), stages: configuration.methods, quantised: configuration.quantised)
    try adapted.loadWeights(adapter: nil, seed: 0, precision: precision, converted: converted, backend: backend)
    try restoreWeights(of: adapted, from: Checkpoint(folder: checkpoint), backend)
  }
}
