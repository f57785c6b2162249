import Foundation
import Models

/// The names of tensors in PEFT's files of low-rank updates.
extension LoRAFormat {
  static let prefix = "base_model.model."

  /// Whether a key is of a low-rank update.
  static func isUpdate(_ key: String) -> Bool { key.contains(update) }

  /// Whether a key is of a module as it was before it was trained whole, which is of no use.
  static func isFromBefore(_ key: String) -> Bool { key.contains(".original_module.") }

  /// The parameter that a key stands for.
  static func parameterName(of key: String, _ names: WeightNames) -> String {
    let bare = key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key
    return names.canonical(bare.replacingOccurrences(of: ".base_layer.", with: "."))
  }

  /// The module that an update belongs to, by the name of one of its parameters.
  static func module(ofUpdate name: String) -> String {
    String(name[..<(name.range(of: update)?.lowerBound ?? name.endIndex)])
  }

  /// Whether an update, by its parameter's name, changes nothing that is computed: that of the last layer of SigLIP's
  /// pooling attention, whose weight PyTorch's `MultiheadAttention` reads without asking the module that PEFT puts around.
  static func isWithoutEffect(update name: String, of model: MultimodalModel) -> Bool {
    let module = module(ofUpdate: name)
    return isUpdate(name) && module.hasSuffix(".head.attention.out_proj")
      && MultimodalModel.part(of: module) == .vision && model.parameters.contains { $0.name == module + ".weight" }
  }

  /// What the names of an update's parameters have in common.
  private static let update = ".lora_"
}
