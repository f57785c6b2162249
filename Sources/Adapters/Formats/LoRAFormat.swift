import Foundation
import Ground
import Models
import Modules
import RunFile
import SafeTensors
import Tensors

/// PEFT's layout of low-rank updates: `adapter_config.json` and `adapter_model.safetensors`, with parts that are trained
/// whole, such as the projector, beside the updates.
enum LoRAFormat: AdapterFormat {
  static func wrote(_ configuration: JSON) -> Bool { configuration["peft_type"] == "LORA" }

  static func holds(_ tunings: [any Tuning]) -> Bool { tunings.allSatisfy { $0 is LoRA || $0.trainsModules } }

  static func write(
    _ tunings: [any Tuning], of adapted: AdaptedModel, to folder: String, _ backend: any Backend
  ) throws {
    let content = LoRAContent(adapted, tunings)
    let fanInFanOut = content.layers.contains { $0.base.layout == .inputsFirst }
    try writeDurably(
      content.configuration().json(fanInFanOut: fanInFanOut, isClassifier: adapted.model.classifier != nil).indented,
      to: folder + "/adapter_config.json")
    try writeSafeTensors(
      content.tensors(backend).map { (prefix + $0.name, $0.value) }, to: folder + "/adapter_model.safetensors", backend)
  }

  static func read(
    _ path: String, into tunings: [any Tuning], of adapted: AdaptedModel, _ backend: any Backend
  ) throws {
    let content = LoRAContent(adapted, tunings)
    try content.checkAgreement(with: PEFTConfiguration(contentsOf: path + "/adapter_config.json"), path)
    let files = try WeightFiles(folder: path, name: "adapter_model")
    let names = adapted.model.weightNames
    func name(_ key: String) -> String { parameterName(of: key, names) }
    let idle: [String] = files.names.filter { isWithoutEffect(update: name($0), of: adapted.model) }
    adapted.loadReport.withoutEffect += Set(idle.map { module(ofUpdate: name($0)) }).sorted()
    let keys: [String] = files.names.filter { !isFromBefore($0) && !idle.contains($0) }
    let new = try adapted.newKeys(of: files, keys, name: name, mayChange: content.holds, backend)
    let known = Set(keys.filter { !new.contains($0) }.map(name))
    try adapted.take(
      files, keys: new, name: name,
      awaiting: (content.expected + adapted.fresh(beside: tunings)).filter { !known.contains($0.name) }, backend)
  }
}

extension LoRAFormat {
  /// How an adapter's parts were trained, as its files tell.
  static func methods(ofAdapter path: String, for folder: ModelFolder) throws -> [ModelPart: any TuningMethod] {
    let configuration = try PEFTConfiguration(contentsOf: path + "/adapter_config.json")
    guard let settings = configuration.settings else { return [:] }
    // PEFT knows no parts: the targets are looked for in each, and the parts that have any are wrapped.
    let bare = try folder.makeModel()
    let found = try configuration.wrapped(among: bare.linears.map(\.path))
    guard !found.isEmpty else {
      throw Fault(
        .badData, "the adapter's target_modules match no linear layer of the model", at: path,
        "use the adapter with the model that it was trained on")
    }
    let (ranks, alphas) = (try PatternMatcher(settings.rankPattern), try PatternMatcher(settings.alphaPattern))
    var methods: [ModelPart: any TuningMethod] = [:]
    for part in Set(found.map(MultimodalModel.part(of:))) {
      let own = found.filter { MultimodalModel.part(of: $0) == part }
      var settings = settings
      settings.targets = .names(own)
      (settings.excluded, settings.layers) = (nil, nil)
      settings.rankPattern.rows.removeAll { row in !own.contains { ranks.row(for: $0) == row } }
      settings.alphaPattern.rows.removeAll { row in !own.contains { alphas.row(for: $0) == row } }
      settings.modulesToSave.removeAll { name in
        !bare.parameters.contains {
          MultimodalModel.part(of: $0.name) == part && !modules(of: $0.name, endingLike: [name]).isEmpty
        }
      }
      methods[part] = settings
    }
    return methods
  }
}
