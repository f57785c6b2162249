import Demo
import Foundation
import Ground
import Models
import SafeTensors
import Tensors

/// What a parameter is to begin with, as a row of 32-bit floats.
typealias Values = (Parameter) throws -> [Float]

/// Writes a model folder: the configuration files of `template` and a weight for every parameter of that model.
func writeModel(to folder: String, template: String, as dtype: DType, _ values: Values) throws {
  try makeFolder(folder)
  if URL(fileURLWithPath: template).standardized != URL(fileURLWithPath: folder).standardized {
    for name in modelFiles { try writeDurably(readFile("\(template)/\(name)"), to: "\(folder)/\(name)") }
  }
  let model = try ModelFolder(folder).makeModel()
  let names = model.weightNames
  let shared: (Parameter) -> Bool = { $0.name == "lm_head.weight" && model.language.head?.base.isTied == true }
  let tensors = try model.parameters.filter { !shared($0) }.map { parameter in
    let description = TensorDescription(name: names.hub(parameter.name), dtype: dtype, shape: parameter.shape)
    return (description, bytes(of: try values(parameter), as: dtype))
  }.sorted { TensorDescription.inReferenceOrder($0.0, $1.0) }
  let file = tensors.reduce(into: safeTensorsHeader(tensors.map(\.0), metadata: ["format": "pt"])) { $0 += $1.1 }
  try writeDurably(file, to: folder + "/model.safetensors")
}

/// What a model folder of the demo holds beside its weights.
let modelFiles = [
  "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "processor_config.json",
  "generation_config.json",
]

/// Random weights for the model that `template` configures.
func freshValues(template: String, seed: UInt64) throws -> Values {
  let configuration = try ModelFolder(template).configuration
  func layers(_ part: String) throws -> Int {
    guard let count = configuration[part]?["num_hidden_layers"]?.integer else {
      throw Fault(.badConfiguration, "no num_hidden_layers in '\(part)'", at: template + "/config.json", "give it")
    }
    return count
  }
  let fresh = FreshWeights(
    seed: seed, visionLayers: try layers("vision_config"), languageLayers: try layers("text_config"))
  return { fresh.values(of: $0.name, shape: $0.shape) }
}

/// The weights of a trained model.
func storedValues(_ folder: String) throws -> Values {
  let files = try WeightFiles(folder: folder)
  let names = try ModelFolder(folder).makeModel().weightNames
  let keys = Dictionary(files.names.map { (names.canonical($0), $0) }, uniquingKeysWith: { $1 })
  return { parameter in
    guard let key = keys[parameter.name], let entry = files[key]?.entry, entry.dtype == .float32 else {
      throw Fault(.badData, "no F32 weight '\(parameter.name)'", at: folder, "export the trained model as F32")
    }
    let bytes = try files.bytes(of: key)
    return stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
  }
}

/// Embeddings in which rows that are almost parallel to another one are replaced by twice the fresh ones.
///
/// Tokens that no text had are pushed by the loss to one and the same vector, and then no fine-tuning that leaves the
/// embeddings alone could tell them apart.
func withoutTwins(_ values: [Float], width: Int, fresh: [Float]) -> [Float] {
  let rows = stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
  func product(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
  let lengths = rows.map { product($0, $0).squareRoot() }
  return rows.indices.flatMap { row -> [Float] in
    let hasTwin = rows.indices.contains {
      $0 != row && product(rows[row], rows[$0]) > 0.97 * lengths[row] * lengths[$0]
    }
    return hasTwin ? fresh[row * width..<(row + 1) * width].map { 2 * $0 } : rows[row]
  }
}

private func bytes(of values: [Float], as dtype: DType) -> [UInt8] {
  switch dtype {
  case .float32: values.withUnsafeBytes { Array($0) }
  case .bfloat16: values.map(bfloat16).withUnsafeBytes { Array($0) }
  default: preconditionFailure("a demo model is F32 or BF16")
  }
}

/// The upper half of the nearest float whose lower half is zero; of two as near the even one.
private func bfloat16(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  return UInt16(truncatingIfNeeded: (bits + 0x7fff + ((bits >> 16) & 1)) >> 16)
}
