import Foundation
import Ground
import Models
import Modules
import SafeTensors
import Tensors

/// PEFT's layout of low-rank updates: `adapter_config.json` and `adapter_model.safetensors`, with parts that are trained
/// whole, such as the projector, beside the updates.
enum LoRAFormat: AdapterFormat {
  private static let prefix = "base_model.model."

  static func wrote(_ configuration: JSON) -> Bool { configuration["peft_type"] == "LORA" }

  static func holds(_ tunings: [any Tuning]) -> Bool { tunings.allSatisfy { $0 is LoRA || $0.trainsModules } }

  static func write(
    _ tunings: [any Tuning], of adapted: AdaptedModel, to folder: String, _ backend: any Backend
  ) throws {
    let configuration = try adapted.peftConfiguration(of: tunings)
    let fanInFanOut = tunings.contains { ($0 as? LoRA)?.layers.contains { $0.base.layout == .inputsFirst } ?? false }
    try writeDurably(
      configuration.json(fanInFanOut: fanInFanOut, isClassifier: adapted.model.classifier != nil).indented,
      to: folder + "/adapter_config.json")
    try Adapters.write(
      adapted.kept(by: tunings).map { (prefix + $0.name, $0.value) }, to: folder + "/adapter_model.safetensors",
      backend)
  }

  static func read(
    _ path: String, into tunings: [any Tuning], of adapted: AdaptedModel, _ backend: any Backend
  ) throws {
    try adapted.checkAgreement(
      of: tunings, with: PEFTConfiguration(contentsOf: path + "/adapter_config.json"), path)
    let files = try WeightFiles(folder: path, name: "adapter_model")
    try adapted.take(
      files, keys: Array(files.names), prefix: prefix,
      awaiting: tunings.flatMap(\.added) + adapted.fresh(beside: tunings), backend)
  }
}

extension AdaptedModel {
  /// The run's settings must be the adapter's.
  fileprivate func checkAgreement(of tunings: [any Tuning], with adapter: PEFTConfiguration, _ path: String) throws {
    for (part, settings) in tunings.compactMap({ $0 as? LoRA }).map({ ($0.part, $0.settings) }) {
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
  fileprivate func peftConfiguration(of tunings: [any Tuning]) throws -> PEFTConfiguration {
    var settings: LoRASettings?
    let lora = tunings.compactMap { $0 as? LoRA }
    let layers = lora.flatMap(\.layers)
    for (part, next) in lora.map({ ($0.part, $0.settings) }) {
      if let settings, (settings.rank, settings.alpha) != (next.rank, next.alpha) {
        throw Fault(
          .badConfiguration, "the parts have different LoRA ranks or alphas", at: "train.parts.\(part.rawValue)",
          "give them the same rank and alpha, which one adapter file needs")
      }
      settings = next
    }
    // PEFT knows no parts: a name like q_proj would hit the vision encoder too. Whole paths say it exactly.
    let targets: Targets =
      layers.isEmpty
      ? .names([PEFTConfiguration.noTarget])
      : model.isMultimodal
        ? .pattern(try pattern(for: layers.map(\.base.path))) : settings?.targets ?? .allLinear
    return PEFTConfiguration(
      rank: settings?.rank ?? 1, alpha: settings?.alpha ?? 1, dropout: settings?.dropout ?? 0, targets: targets,
      modulesToSave: savedModules(of: tunings), baseModel: folder.path)
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
}
