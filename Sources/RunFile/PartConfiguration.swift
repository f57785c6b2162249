import Ground

/// A part of a model that is trained in its own way.
public enum PartName: String, CaseIterable, Sendable { case vision, projector, language }

/// One row for each part of the model.
public struct PartsConfiguration: Equatable, Sendable {
  public var vision = PartConfiguration(.vision, train: .frozen)
  public var projector = PartConfiguration(.projector, train: .full)
  public var language = PartConfiguration(.language, train: .lora)

  public init() {}

  /// The three rows, vision first.
  public var all: [PartConfiguration] { [vision, projector, language] }

  public subscript(name: PartName) -> PartConfiguration {
    switch name {
    case .vision: vision
    case .projector: projector
    case .language: language
    }
  }
}

extension PartsConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("vision", \.vision, "image encoder"),
    Key("projector", \.projector, "from image features to token embeddings", otherNames: ["multi_modal_projector"]),
    Key("language", \.language, "language model"),
  ]

  func validate(at key: String) throws {
    for part in all { try part.validate(at: "\(key)\(part.name.rawValue).") }
    for part in all where part.train == .lora {
      // One adapter file says these of all its layers.
      let first = all.first { $0.train == .lora } ?? part
      for (name, own, other) in [("rslora", part.rslora, first.rslora), ("dora", part.dora, first.dora)] {
        try require(
          own == other, "\(key)\(part.name.rawValue).\(name)", "is \(own), that of \(first.name.rawValue) is \(other)",
          "give both the same value, which one adapter file needs")
      }
    }
    try require(
      all.contains { $0.train != .frozen }, String(key.dropLast()), "freezes every part, so nothing would be trained",
      "set 'train: lora' or 'train: full' for one of them")
  }
}

/// How one part of the model is trained.
public struct PartConfiguration: Equatable, Sendable {
  public enum Method: String, CaseIterable, Sendable { case frozen, full, lora, qlora, adapter, prefix, prompt }

  /// Which part this is; no key, but what the default of the learning rate depends on.
  public let name: PartName
  public var train = Method.frozen
  public var learningRate: Double
  public var weightDecay = 0.0
  public var rank = 16
  public var alpha = 32.0
  public var dropout = 0.05
  public var targets = Targets.allLinear
  public var exclude: Targets?
  public var rslora = false
  public var dora = false
  public var rankPattern = PatternTable<Int>()
  public var alphaPattern = PatternTable<Double>()
  public var bias = TrainedBiases.none
  public var modulesToSave: [String] = []
  public var `init` = LoRAStart.standard
  public var layers: LayerSet?
  public var freeze: [FrozenKind] = []

  public init(_ name: PartName, train: Method) {
    self.name = name
    self.train = train
    learningRate = PartConfiguration.standardRate(of: name, train: train)
  }

  /// The learning rate where none is given: 2e-4 for LoRA, and for what is trained whole 1e-3 (projector) or 2e-5.
  static func standardRate(of name: PartName, train: Method) -> Double {
    switch train {
    case .frozen, .full: name == .projector ? 1e-3 : 2e-5
    case .lora, .qlora, .adapter, .prefix, .prompt: 2e-4
    }
  }
}

extension PartConfiguration.Method: RunFileChoice {}

extension PartConfiguration: Section {
  init() { self.init(.language, train: .frozen) }

  static let keys: [Key<Self>] = [
    Key("train", \.train, "how it is trained"),
    Key(
      "learning_rate", \.learningRate, "default: lora 2e-4; full 1e-3 (projector), 2e-5 (others)", otherNames: ["lr"]),
    Key("weight_decay", \.weightDecay, "decoupled; biases and norms are left alone"),
    Key("rank", \.rank, "of LoRA", otherNames: ["r", "lora_r", "lora_rank"]),
    Key("alpha", \.alpha, "LoRA scales by alpha / rank; default: 2 rank", otherNames: ["lora_alpha"]),
    Key("dropout", \.dropout, "before LoRA's first matrix", otherNames: ["lora_dropout"]),
    Key(
      "targets", \.targets, "which layers get LoRA",
      otherNames: ["target_modules", "lora_target", "lora_target_modules"]),
    Key("exclude", \.exclude, "targets that get none all the same", otherNames: ["exclude_modules"]),
    Key("rslora", \.rslora, "LoRA scales by alpha / √rank", otherNames: ["use_rslora"]),
    Key("dora", \.dora, "LoRA of directions, beside trained magnitudes", otherNames: ["use_dora", "lora_use_dora"]),
    Key("rank_pattern", \.rankPattern, "other ranks for some layers, by patterns of the ends of paths"),
    Key("alpha_pattern", \.alphaPattern, "other alphas for some layers, by patterns"),
    Key("bias", \.bias, "biases that are trained too: of all modules, or of layers with LoRA"),
    Key(
      "modules_to_save", \.modulesToSave, "modules that are trained whole beside LoRA, by the ends of paths",
      otherNames: ["lora_modules_to_save", "additional_target"]),
    Key(
      "init", \.`init`, "what LoRA starts from",
      otherNames: ["init_lora_weights", "lora_init"]),
    Key("layers", \.layers, "which layers are trained or wrapped; null: all", otherNames: ["layers_to_transform"]),
    Key("freeze", \.freeze, "with full: what of the part stays as it is"),
  ]

  mutating func settle(given: Set<String>) {
    if !given.contains("learning_rate") { learningRate = PartConfiguration.standardRate(of: name, train: train) }
    if !given.contains("alpha") { alpha = 2 * Double(rank) }
  }

  /// The keys that only some methods read.
  private static let readers: [String: Set<Method>] = [
    "rank": [.lora, .qlora], "alpha": [.lora, .qlora], "dropout": [.lora, .qlora], "targets": [.lora, .qlora],
    "exclude": [.lora, .qlora], "rslora": [.lora, .qlora], "dora": [.lora, .qlora], "rank_pattern": [.lora, .qlora],
    "alpha_pattern": [.lora, .qlora], "bias": [.lora, .qlora], "modules_to_save": [.lora, .qlora],
    "init": [.lora, .qlora], "layers": [.full, .lora, .qlora], "freeze": [.full],
  ]

  private func reads(_ key: String) -> Bool {
    key == "train" || train != .frozen && (PartConfiguration.readers[key]?.contains(train) ?? true)
  }

  /// A row is written with the keys that its method reads; with all of them where others were given too.
  var written: Written {
    let standard = PartConfiguration(name, train: train)
    let keys = PartConfiguration.keys
    let isPlain = keys.allSatisfy { reads($0.name) || $0.written(self) == $0.written(standard) }
    return .section(
      keys.filter { reads($0.name) || !isPlain }.map { key in
        Written.Line(
          name: key.name, meaning: key.meaning, affectsTraining: reads(key.name), value: key.written(self))
      })
  }

  func validate(at key: String) throws {
    let method = train.rawValue
    try refuse(
      [.qlora, .adapter, .prefix, .prompt].contains(train), key + "train", method, instead: "train it with lora")
    try require(
      learningRate.isFinite && learningRate >= 0, key + "learning_rate", "is \(learningRate)",
      "give a number of 0 or more")
    try require(
      weightDecay.isFinite && weightDecay >= 0, key + "weight_decay", "is \(weightDecay)", "give a number of 0 or more")
    try require(rank > 0, key + "rank", "is \(rank)", "give 1 or more")
    try require(alpha.isFinite && alpha > 0, key + "alpha", "is \(alpha)", "give a number above 0")
    try require(dropout >= 0 && dropout < 1, key + "dropout", "is \(dropout)", "give a number in [0, 1)")
    if case .names(let names) = targets {
      try require(!names.isEmpty && !names.contains(""), key + "targets", "has no name or an empty one", "name modules")
    }
    try validateLoRA(at: key)
    try require(
      train == .full || freeze.isEmpty, key + "freeze", "is for 'train: full'", "remove it: all else is frozen anyway")
  }
}

/// Which linear layers of a part get an adapter; the meaning is PEFT's `target_modules`.
public enum Targets: Equatable, Sendable {
  /// Every linear layer of the part, heads excluded.
  case allLinear
  /// A regular expression that matches whole module paths.
  case pattern(String)
  /// Endings of module paths: `q_proj` matches `layers.0.self_attn.q_proj`.
  case names([String])
}

extension Targets: RunFileValue {
  static var wanted: String { "all-linear, a regular expression or a list of name endings" }

  static func reading(_ tree: YAMLTree, at key: String, over current: Targets?) throws -> Targets {
    switch tree.content {
    case .list: return .names(try [String].reading(tree, at: key, over: nil))
    case .scalar(let text, _) where !text.isEmpty && !tree.isNull:
      return text == "all-linear" ? .allLinear : .pattern(text)
    default: throw mismatch(tree, at: key)
    }
  }

  var written: Written {
    switch self {
    case .allLinear: .scalar("all-linear")
    case .pattern(let pattern): .text(pattern)
    case .names(let names): names.written
    }
  }
}
