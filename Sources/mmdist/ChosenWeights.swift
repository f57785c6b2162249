import Adapters
import Batching
import Datasets
import Evaluation
import Foundation
import Ground
import Models
import Parallel
import RunFile
import Tensors
import Training

/// Weights that a command is to look at, over the model of a run file: `base`, a checkpoint, or a PEFT adapter.
struct ChosenWeights {
  private enum Kind { case base, checkpoint, adapter }
  let name: String
  private let kind: Kind

  /// - Throws: `Fault(.missingInput)` for what is neither.
  init(_ name: String, at option: String) throws {
    self.name = name
    func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(name)/\(file)") }
    if name == "base" {
      kind = .base
    } else if has("manifest.json") {
      kind = .checkpoint
    } else if has("adapter_config.json") {
      kind = .adapter
    } else {
      throw Fault(
        .missingInput, "'\(name)' is neither a checkpoint nor an adapter", at: option,
        "name a folder with manifest.json or adapter_config.json, or base")
    }
  }

  /// The model with these weights, and what turns conversations into its inputs.
  func load(
    _ configuration: RunConfiguration, _ communicator: any Communicator, _ backend: any Backend
  ) throws -> (adapted: AdaptedModel, inputs: ModelInputs, features: FeatureCache?) {
    let weights = SharedWeights(in: configuration.cacheFolder, communicator, backend) { note in
      if note.hasPrefix("warning:") { writeToStandardError("mmdist: \(note)\n") } else { printLine(note) }
    }
    var configuration = configuration
    if kind == .base { configuration.adapter = nil }
    let saved = kind == .checkpoint ? try openCheckpoint(name, communicator) : nil
    let adapted = try LoadedModel(
      configuration, ModelFolder(configuration.model), checkpoint: saved, adapter: kind == .adapter ? name : nil,
      converted: weights.callAsFunction, backend
    ).adapted
    try adapted.requireSameWeights(as: communicator, at: saved?.folder ?? name, backend)
    var inputs = try ModelInputs(
      adapted.folder, adapted.model, configuration.runStages[configuration.runStages.count - 1].data)
    let features = inputs.processor.vision.flatMap {
      configuration.featureCache(for: adapted.model, $0.processor, backend) { say(communicator, $0) }
    }
    inputs.processor.features = features?.store
    return (adapted, inputs, features)
  }
}
