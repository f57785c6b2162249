/// The rule that turns gradients into updates.
///
/// Each rule uses some of the keys: those are written out, the others are refused.
public struct OptimizerConfiguration: Equatable, Sendable {
  public enum Name: String, CaseIterable, Sendable { case adamw, adamw8bit, adafactor, sgd, lion }

  public var name = Name.adamw
  public var betas = [0.9, 0.999]
  public var epsilon = 1e-8
  public var momentum = 0.0
  public var nesterov = false
  public var clipThreshold = 1.0
  public var decayRate = -0.8
  public var scaleParameter = false
  public var smallestScale = 1e-3
  /// Keys that were given, but that the rule does not use.
  private var strangers: [String] = []

  public init() {}
}

extension OptimizerConfiguration.Name: RunFileChoice {
  /// The keys that it uses, `name` apart.
  var keys: Set<String> {
    switch self {
    case .adamw, .adamw8bit: ["betas", "epsilon"]
    case .adafactor:
      ["epsilon", "momentum", "clip_threshold", "decay_rate", "scale_parameter", "smallest_scale"]
    case .sgd: ["momentum", "nesterov"]
    case .lion: ["betas"]
    }
  }
}

extension OptimizerConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("name", \.name, "rule; each uses some of the keys below, others are refused"),
    Key("betas", \.betas, "adamw, adamw8bit, lion (default 0.9, 0.99): what running means keep"),
    Key(
      "epsilon", \.epsilon,
      "adamw, adamw8bit: added to the root of the mean square; adafactor (default 1e-30): to squares",
      otherNames: ["adam_epsilon", "eps"]),
    Key("momentum", \.momentum, "sgd: what the velocity keeps; adafactor: what the mean update keeps; 0: none"),
    Key("nesterov", \.nesterov, "sgd: look ahead by the momentum"),
    Key("clip_threshold", \.clipThreshold, "adafactor: largest root mean square of an update"),
    Key("decay_rate", \.decayRate, "adafactor: update t forgets t^decay_rate of the mean squares"),
    Key("scale_parameter", \.scaleParameter, "adafactor: rates are multiplied by the weights' root mean square"),
    Key("smallest_scale", \.smallestScale, "adafactor: least that scale_parameter multiplies by"),
  ]

  mutating func settle(given: Set<String>) {
    if !given.contains("betas"), name == .lion { betas = [0.9, 0.99] }
    if !given.contains("epsilon"), name == .adafactor { epsilon = 1e-30 }
    strangers = given.subtracting(name.keys).subtracting(["name"]).sorted()
  }

  /// Only the keys that mean something.
  var written: Written {
    .section(
      OptimizerConfiguration.keys.filter { $0.name == "name" || name.keys.contains($0.name) }.map { key in
        Written.Line(
          name: key.name, meaning: key.meaning, affectsTraining: key.affectsTraining, value: key.written(self))
      })
  }

  func validate(at key: String) throws {
    if let first = strangers.first {
      try require(
        false, key + first, "means nothing to '\(name.rawValue)'",
        "remove it; '\(name.rawValue)' uses \(name.keys.sorted().joined(separator: ", "))")
    }
    try require(betas.count == 2, key + "betas", "has \(betas.count) numbers", "give two, as in [0.9, 0.999]")
    try require(betas.allSatisfy { $0 >= 0 && $0 < 1 }, key + "betas", "is \(betas)", "give two numbers in [0, 1)")
    try require(epsilon.isFinite && epsilon > 0, key + "epsilon", "is \(epsilon)", "give a number above 0")
    try require(momentum >= 0 && momentum < 1, key + "momentum", "is \(momentum)", "give a number in [0, 1)")
    try require(
      !nesterov || momentum > 0, key + "nesterov", "is true, but there is no momentum", "set momentum, as in 0.9")
    try require(
      clipThreshold.isFinite && clipThreshold > 0, key + "clip_threshold", "is \(clipThreshold)",
      "give a number above 0")
    try require(
      decayRate.isFinite && decayRate < 0, key + "decay_rate", "is \(decayRate)", "give a number below 0, as in -0.8")
    try require(
      smallestScale.isFinite && smallestScale > 0, key + "smallest_scale", "is \(smallestScale)",
      "give a number above 0")
  }
}

/// A moving average of the trained weights.
public struct AverageConfiguration: Equatable, Sendable {
  public var decay = 0.999
  public var warmup = false

  public init() {}
}

extension AverageConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("decay", \.decay, "what the average keeps in a step"),
    Key("warmup", \.warmup, "keep at most (1 + step) / (10 + step)"),
  ]

  func validate(at key: String) throws {
    try require(decay >= 0 && decay < 1, key + "decay", "is \(decay)", "give a number in [0, 1)")
  }
}
