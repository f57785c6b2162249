import Adapters
import Datasets
import Foundation
import Ground
import Models
import RunFile
import Tensors

extension HeadConfiguration {
  /// What the model is to have.
  var shape: HeadShape {
    HeadShape(
      hidden: kind == .mlp ? hidden : nil, layer: layer, pool: StatePool(rawValue: pool.rawValue) ?? .mean)
  }
}

extension RunConfiguration {
  /// The model as texts with these labels ask for it: a classifier, or a head on its frozen features.
  public func folder(for labels: LabelSet) throws -> ModelFolder {
    let folder = try ModelFolder(model)
    guard let head else { return try folder.classifying(labels.names, labels.problem) }
    return try folder.probing(labels.names, labels.problem, head.shape)
  }
}

extension AdaptedModel {
  /// Writes a head on frozen features whole: `head.safetensors` and what makes it a head, `head_config.json`.
  func saveHead(to path: String, _ configuration: HeadConfiguration, _ backend: any Backend) throws {
    guard let classifier = model.classifier, let reading = classifier.frozen else { return }
    let temporary = path + ".writing"
    try? FileManager.default.removeItem(atPath: temporary)
    try makeFolder(temporary)
    let settings: JSON = [
      "kind": .string(configuration.kind.rawValue),
      "hidden": configuration.kind == .mlp ? .integer(configuration.hidden) : nil, "activation": "relu",
      "layer": .integer(reading.depth), "pool": .string(reading.pool.rawValue),
      "problem_type": .string(classifier.problem.rawValue), "labels": .array(classifier.labels.map(JSON.string)),
      "base_model": .string(folder.path),
    ]
    try writeDurably(settings.indented, to: temporary + "/head_config.json")
    try write(model.headParameters.map { ($0.name, $0.value) }, to: temporary + "/head.safetensors", backend)
    try replaceFolder(path, with: temporary)
  }
}
