import Foundation
import Ground
import Models
import Modules
import SafeTensors
import Tensors

/// Reading and writing adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`, with
/// parts that are trained whole, such as the projector, beside the low-rank updates.
extension AdaptedModel {
  private static let prefix = "base_model.model."

  /// Gives the updates and the parts trained whole the values of an adapter.
  ///
  /// Every key must find its place and every update its key: an adapter that loads and silently does nothing is
  /// the worst of faults.
  func loadAdapter(_ path: String, backend: any Backend) throws {
    let configuration = try PEFTConfiguration(contentsOf: path + "/adapter_config.json")
    let files = try WeightFiles(folder: path, name: "adapter_model")
    let parameters = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0) })
    var waiting = Set((tunings.flatMap(\.added) + kept.filter { !trainsModules(of: $0) }).map(\.name))
    try checkAgreement(with: configuration, path)
    for key in files.names {
      guard let (file, entry) = files[key] else { continue }
      let bare = key.hasPrefix(AdaptedModel.prefix) ? String(key.dropFirst(AdaptedModel.prefix.count)) : key
      guard let name = parameterName(ofKey: bare) else { continue }
      guard let parameter = parameters[name] else {
        throw Fault(
          .badData, "the adapter's '\(key)' has no place in the model\(didYouMean(name, among: parameters.keys))",
          at: path, "use the adapter with the model that it was trained on, and the same targets")
      }
      guard entry.shape == parameter.shape, [.float32, .float16, .bfloat16].contains(entry.dtype) else {
        throw Fault(
          .badData, "the adapter's '\(key)' is \(entry.dtype.rawValue) \(entry.shape), the model's \(parameter.shape)",
          at: path, "use the adapter with the model that it was trained on, and the same rank")
      }
      let head = model.language.head.base
      if head.isTied, parameter === head.weight {
        throw Fault(
          .badConfiguration, "the adapter's '\(key)' replaces the embeddings, whose weight the head shares", at: path,
          "use an adapter that was trained without embeddings and head")
      }
      let stored = backend.adopt(try file.bytes(of: key), shape: entry.shape, dtype: entry.dtype, owner: file)
      let copy = backend.empty(entry.shape, .float32)
      backend.withBytes(of: backend.cast(stored, to: .float32)) { backend.overwrite(copy, with: $0) }
      parameter.value = copy
      waiting.remove(name)
    }
    if let first = waiting.sorted().first {
      throw Fault(
        .badData, "the adapter has no '\(first)'\(waiting.count > 1 ? " and \(waiting.count - 1) more" : "")", at: path,
        "give the run file the targets that the adapter was trained with")
    }
  }

  func trainsModules(of part: ModelPart) -> Bool { tunings.contains { $0.part == part && $0.trainsModules } }

  /// What an adapter holds: what the methods added, and all of a part of which something is trained as it is, since
  /// PEFT takes whole modules.
  private var kept: [Parameter] {
    model.parameters.filter { $0.isTrainable || trainsModules(of: $0) || savesBias($0) }
  }

  private func trainsModules(of parameter: Parameter) -> Bool {
    trainsModules(of: MultimodalModel.part(of: parameter.name))
  }

  /// Writes the adapter whole: a temporary folder beside it, then a rename.
  public func saveAdapter(to path: String, backend: any Backend) throws {
    let temporary = path + ".writing"
    try? FileManager.default.removeItem(atPath: temporary)
    try makeFolder(temporary)
    let configuration = try peftConfiguration()
    let fanInFanOut = lowRankLayers.contains { $0.base.layout == .inputsFirst }
    try writeDurably(configuration.json(fanInFanOut: fanInFanOut).indented, to: temporary + "/adapter_config.json")
    try write(
      saved(kept, backend).map { (AdaptedModel.prefix + $0.name, $0.value) },
      to: temporary + "/adapter_model.safetensors", backend)
    try replaceFolder(path, with: temporary)
  }
}

/// Writes tensors to a safetensors file, durably.
public func write(_ tensors: [(name: String, value: Tensor)], to path: String, _ backend: any Backend) throws {
  // Every tensor lies in host memory while it is written; the closures nest so that each stays valid.
  var pieces: [(name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer)] = []
  func gather(_ index: Int) throws {
    guard index < tensors.count else { return try writeSafeTensors(pieces, metadata: ["format": "pt"], to: path) }
    try backend.withBytes(of: tensors[index].value) { bytes in
      pieces.append((tensors[index].name, tensors[index].value.dtype, tensors[index].value.shape, bytes))
      try gather(index + 1)
    }
  }
  try gather(0)
}

/// Puts a finished folder in the place of another: at every moment one of the two is whole.
public func replaceFolder(_ path: String, with finished: String) throws {
  let former = path + ".replaced"
  try? FileManager.default.removeItem(atPath: former)
  if FileManager.default.fileExists(atPath: path), rename(path, former) != 0 {
    throw Fault(.cannotWrite, "cannot rename: \(systemReason())", at: path, "check the permissions")
  }
  guard rename(finished, path) == 0 else {
    throw Fault(.cannotWrite, "cannot rename: \(systemReason())", at: finished, "check the permissions")
  }
  syncFolder(of: path)
  try? FileManager.default.removeItem(atPath: former)
}
