/// Which biases are trained beside low-rank updates.
public enum TrainedBiases: String, CaseIterable, Sendable {
  case none, all
  /// Of the layers that have updates.
  case wrapped = "lora_only"
}

extension TrainedBiases: RunFileChoice {}

/// What low-rank updates start from, as PEFT's `init_lora_weights`.
public enum LoRAStart: Equatable, Sendable {
  /// A uniform within ±1/√inputs, B zero.
  case standard
  /// A normal with the deviation 1 / rank, B zero.
  case gaussian
  /// The principal singular vectors of the weight, which keeps the rest (Meng et al. 2024, arXiv:2404.02948): found
  /// exactly, or by that many iterations of a randomised method.
  case pissa(iterations: Int?)
  /// The first columns of the weight's QR factors, and the weight keeps the rest (Büyükakyüz 2024, arXiv:2406.01775).
  case olora

  /// Whether the weight itself starts as something else than the model's.
  public var changesWeight: Bool { self != .standard && self != .gaussian }
}

extension LoRAStart: RunFileValue {
  static let wanted = "default | gaussian | pissa | pissa_niter_N | olora"
  private static let iterations = "pissa_niter_"

  static func reading(_ tree: YAMLTree, at key: String, over current: LoRAStart?) throws -> LoRAStart {
    guard case .scalar(let text, _) = tree.content else { throw mismatch(tree, at: key) }
    switch text {
    case "default", "true": return .standard
    case "gaussian": return .gaussian
    case "pissa": return .pissa(iterations: nil)
    case "olora": return .olora
    default:
      guard text.hasPrefix(iterations), let count = Int(text.dropFirst(iterations.count)), (1...1000).contains(count)
      else { throw mismatch(tree, at: key) }
      return .pissa(iterations: count)
    }
  }

  var written: Written {
    switch self {
    case .standard: .text("default")
    case .gaussian: .text("gaussian")
    case .pissa(let count?): .text(LoRAStart.iterations + String(count))
    case .pissa(nil): .text("pissa")
    case .olora: .text("olora")
    }
  }
}

extension PartConfiguration {
  /// The keys that say which variant of LoRA it is.
  private static let variants: Set<String> = [
    "exclude", "rslora", "dora", "rank_pattern", "alpha_pattern", "bias", "modules_to_save", "init",
  ]

  /// Refuses what makes no sense among the keys of LoRA.
  func validateLoRA(at key: String) throws {
    let standard = PartConfiguration(name, train: train)
    for own in PartConfiguration.keys where PartConfiguration.variants.contains(own.name) {
      try require(
        [.lora, .qlora].contains(train) || own.written(self) == own.written(standard), key + own.name,
        "is for 'train: lora'", "remove it, or train the part with lora")
    }
    for row in rankPattern.rows {
      try require(
        (1...Most.width).contains(row.value) && !row.pattern.isEmpty, key + "rank_pattern",
        "gives '\(row.pattern)' \(row.value)", "name layers and ranks from 1 to \(Most.width)")
    }
    for row in alphaPattern.rows {
      try require(
        row.value.isFinite && row.value > 0 && !row.pattern.isEmpty, key + "alpha_pattern",
        "gives '\(row.pattern)' \(row.value)", "name layers and numbers above 0")
    }
    try require(
      exclude != .allLinear && exclude != .names([]), key + "exclude", "leaves no layer or names none",
      "name layers, or remove the key")
    if case .names(let names)? = exclude {
      try require(!names.contains(""), key + "exclude", "has an empty name", "name layers")
    }
    try require(!modulesToSave.contains(""), key + "modules_to_save", "has an empty name", "name modules")
    try require(
      !(dora && self.`init`.changesWeight), key + "init",
      "is \(self.`init`.written.plain), which DoRA cannot start from",
      "use default or gaussian with dora, or leave dora out")
  }
}

extension Written {
  /// A single value as it stands in YAML.
  var plain: String { if case .scalar(let text) = self { text } else { "" } }
}
