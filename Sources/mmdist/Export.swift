import Adapters
import ArgumentParser
import Checkpoints
import Evaluation
import Foundation
import Ground
import Models
import RunFile
import Tensors
import Training

struct Export: ParsableCommand {
  enum Format: String, ExpressibleByArgument, CaseIterable { case peft, merged, llava, bitsandbytes, unmerged }

  static let configuration = CommandConfiguration(
    abstract:
      "Writes a checkpoint, or a model with an adapter, as Hugging Face reads it, and compares what it reads back.",
    discussion: """
      peft          the adapter, with the parts that are trained whole
      merged        the whole model with the updates added to its weights, in the Hub's layout
      llava         the same in the layout of the original LLaVA code
      bitsandbytes  as merged, with matrices as the 4-bit codes (NF4) that bitsandbytes and transformers read
      unmerged      of a merged model and the adapter that was merged into it: the model as it was before, to rounding

        mmdist export --checkpoint run/checkpoints/step-00000500 --format merged --output merged
        mmdist export --model base --adapter adapter --format merged --output merged
        mmdist export --model merged --adapter adapter --format unmerged --output base
      """)

  @Option(help: ArgumentHelp("A checkpoint of a run.", valueName: "DIR")) var checkpoint: String?
  @Option(help: ArgumentHelp("A Hugging Face model directory, in place of a checkpoint.", valueName: "DIR")) var model:
    String?
  @Option(help: ArgumentHelp("A PEFT adapter for it.", valueName: "DIR")) var adapter: String?
  @Option(help: ArgumentHelp("What to write.", valueName: "peft|merged|llava|bitsandbytes|unmerged")) var format: Format
  @Option(help: ArgumentHelp("A folder that is not there yet.", valueName: "DIR")) var output: String
  @Option(help: ArgumentHelp("The run file, if the checkpoint is not to say it.", valueName: "run.yaml")) var config:
    String?

  @Flag(help: "The averages of the trained weights (train.ema) instead of the weights.") var ema = false

  func validate() throws {
    guard (checkpoint == nil) != (model == nil) else { throw ValidationError("give --checkpoint or --model") }
    guard model == nil || adapter != nil || format == .bitsandbytes else {
      throw ValidationError("--model goes with --adapter")
    }
    guard checkpoint == nil || adapter == nil else { throw ValidationError("--adapter goes with --model") }
    guard checkpoint != nil || config == nil && !ema else {
      throw ValidationError("--config and --ema go with --checkpoint")
    }
    guard format != .unmerged || model != nil else {
      throw ValidationError("--format unmerged is of a merged model: give --model and --adapter")
    }
  }

  func run() throws {
    guard !FileManager.default.fileExists(atPath: output) else {
      throw Fault(.cannotWrite, "the folder is there already", at: output, "choose another one")
    }
    let backend = try CPUBackend(threads: ThreadCount.boundCores)
    let (adapted, quantised) = try source(backend)
    if format == .peft, !adapted.isAdapter {
      throw Fault(
        .usage, "a whole language model was trained, which is no adapter", at: checkpoint ?? adapter,
        "use --format merged")
    }
    switch format {
    case .peft: try adapted.saveAdapter(to: output, backend: backend)
    case .merged, .llava, .bitsandbytes:
      try adapted.exportMerged(
        to: output, layout: format == .llava ? .llava : .hub, quantises: format == .bitsandbytes, backend: backend)
    case .unmerged: try adapted.exportUnmerged(to: output, layout: .hub, backend: backend)
    }
    do {
      let distance = try distance(from: adapted, quantised, backend)
      printLine("wrote \(output); read back, its logits differ by \(distance) of their size")
    } catch {
      // What is not what it should be must not be taken for it.
      try? FileManager.default.removeItem(atPath: output)
      throw error
    }
  }

  /// How far the logits of what was written are from those that they should be.
  private func distance(
    from adapted: AdaptedModel, _ quantised: Set<ModelPart>, _ backend: any Backend
  ) throws -> Double {
    let (own, other): (AdaptedModel, AdaptedModel)
    switch format {
    case .peft:
      own = adapted
      other = try LoadedModel(
        adapted.folder, adapter: output, quantised: quantised, precision: .float32, backend
      ).adapted
    case .merged, .llava, .bitsandbytes:
      own = adapted
      other = try LoadedModel(ModelFolder(output), adapter: nil, precision: .float32, backend).adapted
    case .unmerged:
      // The adapter over what was written is the merged model again.
      own = try LoadedModel(adapted.folder, adapter: nil, precision: .float32, backend).adapted
      other = try LoadedModel(ModelFolder(output), adapter: adapter, precision: .float32, backend).adapted
    }
    let distance = try logitDistance(own.model, other.model, backend)
    guard distance < 1e-4 else {
      throw Fault(
        .internalError, "what was written gives other logits (relative distance \(distance))", at: output, "report this"
      )
    }
    return distance
  }

  /// The model to write, and the parts of it that are kept as 4-bit codes.
  private func source(_ backend: any Backend) throws -> (AdaptedModel, Set<ModelPart>) {
    if let model {
      return (try LoadedModel(ModelFolder(model), adapter: adapter, precision: .float32, backend).adapted, [])
    }
    guard let checkpoint else { preconditionFailure("export: neither checkpoint nor model") }
    let saved = try openCheckpoint(checkpoint)
    let configuration: RunConfiguration
    if let config {
      configuration = try RunConfiguration(contentsOf: config)
    } else if let text = saved.header.extras["run_file"]?.string {
      configuration = try RunConfiguration(parsing: text)
    } else {
      throw Fault(.badData, "the checkpoint does not say its run file", at: checkpoint, "name it by --config")
    }
    guard configuration.head == nil else {
      throw Fault(
        .usage, "a head on frozen features is no model of its own", at: checkpoint,
        "use \(configuration.output)/head, which every checkpoint writes")
    }
    let loaded = try LoadedModel(
      checkpoint: saved, ema ? .average : .trained, configuration, precision: .float32, backend)
    return (loaded.adapted, configuration.quantised)
  }
}
