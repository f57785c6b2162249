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
    for part in all where [.lora, .qlora].contains(part.train) {
      // One adapter file says these of all its layers.
      let first = all.first { [.lora, .qlora].contains($0.train) } ?? part
      for (name, own, other) in [("rslora", part.rslora, first.rslora), ("dora", part.dora, first.dora)] {
        try require(
          own == other, "\(key)\(part.name.rawValue).\(name)", "is \(own), that of \(first.name.rawValue) is \(other)",
          "give both the same value, which one adapter file needs")
      }
    }
  }
}

/// How one part of the model is trained.
public struct PartConfiguration: Equatable, Sendable {
  public enum Method: String, CaseIterable, Sendable {
    case frozen, full, lora, qlora, adapter, prefix, prompt
    case pTuning = "p_tuning"
  }
  /// How frozen matrices are kept: as they are, or as 4-bit codes (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).
  public enum Quantization: String, CaseIterable, Sendable { case none, nf4 }

  /// Which part this is; no key, but what the default of the learning rate depends on.
  public let name: PartName
  public var train = Method.frozen
  public var learningRate: Double
  public var weightDecay = 0.0
  public var rank = 16
  public var alpha = 32.0
  public var dropout = 0.05
  public var targets = Targets.allLinear
  public var loraPlusRatio: Double?
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
  public var quantize: Quantization
  public var tokens = 20
  public var initText: String?
  public var projection: Int?
  public var kind = AdapterKind.pfeiffer
  public var reduction: Double?
  public var activation: String?
  public var scaling: Double?
  public var adapterName = "default"
  public var adapters: [TrainedAdapter] = []
  public var fusion = false

  public init(_ name: PartName, train: Method) {
    self.name = name
    self.train = train
    learningRate = PartConfiguration.standardRate(of: name, train: train)
    quantize = train == .qlora ? .nf4 : .none
  }

  /// The learning rate where none is given: 2e-4 for LoRA, 1e-2 for virtual tokens, and for what is trained whole 1e-3 (projector) or 2e-5.
  static func standardRate(of name: PartName, train: Method) -> Double {
    switch train {
    case .frozen, .full: name == .projector ? 1e-3 : 2e-5
    case .lora, .qlora, .adapter: 2e-4
    case .prefix, .prompt, .pTuning: 1e-2
    }
  }
}

extension PartConfiguration.Method: RunFileChoice {}
extension PartConfiguration.Quantization: RunFileChoice {}

extension PartConfiguration: Section {
  init() { self.init(.language, train: .frozen) }

  static let keys: [Key<Self>] = [
    Key("train", \.train, "how it is trained"),
    Key(
      "learning_rate", \.learningRate, "default: lora 2e-4; prompt, prefix 1e-2; full 1e-3 (projector), 2e-5 (others)",
      otherNames: ["lr"]),
    Key("weight_decay", \.weightDecay, "decoupled; biases and norms are left alone"),
    Key("rank", \.rank, "of LoRA", otherNames: ["r", "lora_r", "lora_rank"]),
    Key("alpha", \.alpha, "LoRA scales by alpha / rank; default: 2 rank", otherNames: ["lora_alpha"]),
    Key(
      "dropout", \.dropout, "before LoRA's first matrix, after an adapter's last; default with adapter: 0",
      otherNames: ["lora_dropout"]),
    Key(
      "targets", \.targets, "which layers get LoRA",
      otherNames: ["target_modules", "lora_target", "lora_target_modules"]),
    Key(
      "lora_plus_ratio", \.loraPlusRatio, "LoRA+: rate of LoRA's second matrix by that of its first; null: 1",
      otherNames: ["loraplus_lr_ratio"]),
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
    Key("quantize", \.quantize, "how frozen matrices are kept: nf4, in 4 bits; default with qlora: nf4"),
    Key("tokens", \.tokens, "virtual tokens of a prompt, p_tuning or prefix", otherNames: ["num_virtual_tokens"]),
    Key(
      "init_text", \.initText, "text whose embeddings a prompt begins with; null: random",
      otherNames: ["prompt_tuning_init", "prompt_tuning_init_text"]),
    Key(
      "projection", \.projection, "hidden width of the perceptron; null: none for a prefix, the model's for p_tuning",
      otherNames: ["encoder_hidden_size"]),
    Key("kind", \.kind, "of a bottleneck adapter"),
    Key(
      "reduction", \.reduction, "width of the layer over that of the bottleneck; default: 16, parallel 2",
      otherNames: ["reduction_factor"]),
    Key(
      "activation", \.activation, "in the bottleneck; default: relu, houlsby swish", otherNames: ["non_linearity"]),
    Key("scaling", \.scaling, "of what an adapter adds; default: 1, parallel 4"),
    Key("adapter_name", \.adapterName, "of the adapter that is trained"),
    Key("adapters", \.adapters, "adapters trained before, below the new one; they stay as they are"),
    Key("fusion", \.fusion, "train attention over these adapters, in place of a new one"),
  ]

  mutating func settle(given: Set<String>) {
    if !given.contains("learning_rate") { learningRate = PartConfiguration.standardRate(of: name, train: train) }
    if !given.contains("alpha") { alpha = 2 * Double(rank) }
    if !given.contains("quantize") { quantize = train == .qlora ? .nf4 : .none }
    if train == .adapter, !given.contains("dropout") { dropout = 0 }
  }

  /// The keys that only some methods read.
  private static let readers: [String: Set<Method>] = [
    "rank": [.lora, .qlora], "alpha": [.lora, .qlora], "dropout": [.lora, .qlora, .adapter],
    "targets": [.lora, .qlora], "exclude": [.lora, .qlora], "rslora": [.lora, .qlora], "dora": [.lora, .qlora],
    "rank_pattern": [.lora, .qlora], "alpha_pattern": [.lora, .qlora], "bias": [.lora, .qlora],
    "modules_to_save": [.lora, .qlora], "init": [.lora, .qlora], "lora_plus_ratio": [.lora, .qlora],
    "layers": [.full, .lora, .qlora, .adapter], "freeze": [.full],
    "quantize": [.lora, .qlora, .adapter, .prefix, .prompt, .pTuning], "tokens": [.prompt, .prefix, .pTuning],
    "init_text": [.prompt], "projection": [.prefix, .pTuning], "kind": [.adapter], "reduction": [.adapter],
    "activation": [.adapter], "scaling": [.adapter], "adapter_name": [.adapter], "adapters": [.adapter],
    "fusion": [.adapter],
  ]

  private func reads(_ key: String) -> Bool {
    key == "train" || key == "quantize" && quantize != .none
      || train != .frozen && (PartConfiguration.readers[key]?.contains(train) ?? true)
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
    try require(
      learningRate.isFinite && learningRate >= 0, key + "learning_rate", "is \(learningRate)",
      "give a number of 0 or more")
    try require(
      weightDecay.isFinite && weightDecay >= 0, key + "weight_decay", "is \(weightDecay)", "give a number of 0 or more")
    try require((1...Most.width).contains(rank), key + "rank", "is \(rank)", "give 1 to \(Most.width)")
    try require(alpha.isFinite && alpha > 0, key + "alpha", "is \(alpha)", "give a number above 0")
    try require(dropout >= 0 && dropout < 1, key + "dropout", "is \(dropout)", "give a number in [0, 1)")
    if let loraPlusRatio {
      try require(
        loraPlusRatio.isFinite && loraPlusRatio > 0, key + "lora_plus_ratio", "is \(loraPlusRatio)",
        "give a number above 0, as in 16")
      try require(
        train == .lora || train == .qlora, key + "lora_plus_ratio", "is for LoRA", "remove it, or set 'train: lora'")
    }
    if case .names(let names) = targets {
      try require(!names.isEmpty && !names.contains(""), key + "targets", "has no name or an empty one", "name modules")
    }
    let quantizes = key + "quantize"
    try require(
      train != .qlora || quantize != .none, quantizes, "is none, but qlora is lora over 4-bit codes",
      "remove it, or set 'train: lora'")
    try require(
      train != .full || quantize == .none, quantizes, "is \(quantize.rawValue), but 4-bit codes cannot be trained",
      "set 'train: lora', or 'quantize: none'")
    try require(
      name != .projector || quantize == .none, quantizes, "is \(quantize.rawValue), but the projector stays as it is",
      "remove it, and train the projector with lora or full")
    try require((1...65536).contains(tokens), key + "tokens", "is \(tokens)", "give 1 to 65536")
    try require(initText != "", key + "init_text", "is empty", "give a text, or null for random numbers")
    try require(
      quantize == .none || !`init`.changesWeight, key + "init",
      "takes something off the weights, which 4-bit codes cannot give up", "use default or gaussian")
    try require(
      (1...Most.width).contains(projection ?? 1), key + "projection", "is \(projection ?? 0)",
      "give 1 to \(Most.width), or null")
    try validateAdapters(at: key)
    try validateLoRA(at: key)
    try require(
      train == .full || freeze.isEmpty, key + "freeze", "is for 'train: full'", "remove it: all else is frozen anyway")
  }
}
