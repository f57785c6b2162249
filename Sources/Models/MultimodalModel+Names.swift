import Foundation

/// What a module or parameter is, by the names that the model families have in common.
extension MultimodalModel {
  /// The number of the layer that it belongs to: the first number in its path.
  public static func layerNumber(in path: String) -> Int? {
    path.split(separator: ".").lazy.compactMap { Int($0) }.first
  }

  /// Whether a module is the last layer of a model: what predicts tokens or gives labels.
  public static func isHead(_ path: String) -> Bool { heads.contains(path[...]) }

  /// Whether a parameter belongs to such a layer.
  public static func isOfHead(_ name: String) -> Bool {
    name.split(separator: ".").first.map(heads.contains) ?? false
  }

  private static let heads: Set<Substring> = ["lm_head", "classifier", "score"]

  /// The module that an update of PEFT's belongs to, by the update's name.
  public static func module(ofUpdate name: String) -> String {
    String(name[..<(name.range(of: ".lora_")?.lowerBound ?? name.endIndex)])
  }

  /// Whether a low-rank update, by its name, changes nothing that is computed: that of the last layer of SigLIP's pooling
  /// attention, whose weight PyTorch's `MultiheadAttention` reads without asking the module that PEFT puts around it.
  public func isWithoutEffect(update name: String) -> Bool {
    let module = MultimodalModel.module(ofUpdate: name)
    return module != name && module.hasSuffix(".head.attention.out_proj") && MultimodalModel.part(of: module) == .vision
      && parameters.contains { $0.name == module + ".weight" }
  }

  public static func isBias(_ name: String) -> Bool { name.hasSuffix("bias") }

  /// Whether a parameter is the weight or the bias of a norm.
  public static func isOfNorm(_ name: String) -> Bool {
    name.split(separator: ".").dropLast().last.map { $0.lowercased().contains("norm") || $0.hasPrefix("ln_") } ?? false
  }
}
