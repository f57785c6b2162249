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
    let names = model.weightNames
    let parameters = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0) })
    var waiting = Set(tunings.flatMap(\.added).map(\.name))
    // A classifier that the model's files lack must come from the adapter.
    waiting.formUnion(model.headParameters.map(\.name).filter(loadReport.initialised.contains))
    try checkAgreement(with: configuration, path)
    for key in files.names {
      guard let (file, entry) = files[key] else { continue }
      let bare = key.hasPrefix(AdaptedModel.prefix) ? String(key.dropFirst(AdaptedModel.prefix.count)) : key
      let name = names.canonical(bare)
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

  /// The run's settings must be the adapter's.
  private func checkAgreement(with adapter: PEFTConfiguration, _ path: String) throws {
    for (part, settings) in lora.map({ ($0.part, $0.settings) }) {
      func differs(_ key: String, _ own: String, _ other: String) -> Fault {
        Fault(
          .badConfiguration, "train.parts.\(part.rawValue).\(key) is \(own), the adapter's is \(other)", at: path,
          "give both the same value")
      }
      if settings.rank != adapter.rank { throw differs("rank", "\(settings.rank)", "\(adapter.rank)") }
      if settings.alpha != adapter.alpha { throw differs("alpha", "\(settings.alpha)", "\(adapter.alpha)") }
    }
  }

  /// What `adapter_config.json` is to say of this model; nil where a whole language model is trained, which is a
  /// model and no adapter.
  func peftConfiguration() throws -> PEFTConfiguration {
    var settings: LoRASettings?
    for (part, next) in lora.map({ ($0.part, $0.settings) }) {
      if let settings, (settings.rank, settings.alpha) != (next.rank, next.alpha) {
        throw Fault(
          .badConfiguration, "the parts have different LoRA ranks or alphas", at: "train.parts.\(part.rawValue)",
          "give them the same rank and alpha, which one adapter file needs")
      }
      settings = next
    }
    let whole: [(ModelPart, [String])] = [
      (.vision, ["vision_tower"]), (.projector, ["multi_modal_projector"]), (.language, ["language_model", "lm_head"]),
    ]
    let saved =
      whole.filter { trainsModules(of: $0.0) }.flatMap { model.isMultimodal ? $0.1 : [] }
      + (model.classifier.map { [$0.path] } ?? [])
    // PEFT knows no parts: a name like q_proj would hit the vision encoder too. Whole paths say it exactly.
    let targets: Targets =
      lowRankLayers.isEmpty
      ? .names([PEFTConfiguration.noTarget])
      : model.isMultimodal
        ? .pattern(try pattern(for: lowRankLayers.map(\.base.path))) : settings?.targets ?? .allLinear
    return PEFTConfiguration(
      rank: settings?.rank ?? 1, alpha: settings?.alpha ?? 1, dropout: settings?.dropout ?? 0, targets: targets,
      modulesToSave: saved, baseModel: folder.path)
  }

  /// An expression that matches exactly these paths among the model's linear layers; layer numbers are gathered
  /// where that matches no other.
  private func pattern(for paths: [String]) throws -> String {
    var shapes: [String] = []
    for path in paths {
      let shape = path.split(separator: ".").map { Int($0) == nil ? String($0) : "\\d+" }.joined(separator: "\\.")
      if !shapes.contains(shape) { shapes.append(shape) }
    }
    let gathered = "(" + shapes.joined(separator: "|") + ")"
    let matches = try Targets.pattern(gathered).matcher()
    if Set(model.linears.map(\.path).filter { matches($0, false) }) == Set(paths) { return gathered }
    return "(" + paths.map { $0.replacingOccurrences(of: ".", with: "\\.") }.joined(separator: "|") + ")"
  }

  private func trainsModules(of part: ModelPart) -> Bool { tunings.contains { $0.part == part && $0.trainsModules } }

  /// What an adapter holds: what the methods added, and all of a part of which something is trained as it is, since
  /// PEFT takes whole modules.
  private var kept: [Parameter] {
    let tuned = Set(tuned.map { ObjectIdentifier($0) })
    return model.parameters.filter {
      tuned.contains(ObjectIdentifier($0)) || trainsModules(of: MultimodalModel.part(of: $0.name))
    }
  }

  /// Writes the adapter whole: a temporary folder beside it, then a rename.
  public func saveAdapter(to path: String, backend: any Backend) throws {
    let temporary = path + ".writing"
    try? FileManager.default.removeItem(atPath: temporary)
    try makeFolder(temporary)
    let configuration = try peftConfiguration()
    let fanInFanOut = lowRankLayers.contains { $0.base.layout == .inputsFirst }
    try writeDurably(
      configuration.json(fanInFanOut: fanInFanOut, isClassifier: model.classifier != nil).indented,
      to: temporary + "/adapter_config.json")
    try write(
      kept.map { (AdaptedModel.prefix + $0.name, $0.value) }, to: temporary + "/adapter_model.safetensors", backend
    )
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
