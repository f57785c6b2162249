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

  public static func isBias(_ name: String) -> Bool { name.hasSuffix("bias") }

  /// Whether a parameter is the weight or the bias of a norm.
  public static func isOfNorm(_ name: String) -> Bool {
    name.split(separator: ".").dropLast().last.map { $0.lowercased().contains("norm") || $0.hasPrefix("ln_") } ?? false
  }
}
