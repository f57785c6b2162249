/// What a run finds out about its model on the validation data as it goes on.
public struct EvaluateConfiguration: Equatable, Sendable {
  public var every = 0
  public var metrics = ["loss"]
  public var samples = 0
  public var maxNewTokens = 64
  public var imageUse = false
  public var best: String?
  public var patience: Int?
  public var probe = ProbeConfiguration()

  public init() {}
}

extension EvaluateConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("every", \.every, "steps between evaluations on the validation data; 0: none", otherNames: ["eval_steps"]),
    Key("metrics", \.metrics, "what to measure on conversations: loss, exact_match, …, as mmdist eval --metrics"),
    Key(
      "samples", \.samples, "how many records, evenly spread over the data; 0: all", otherNames: ["max_eval_samples"]),
    Key("max_new_tokens", \.maxNewTokens, "most tokens of an answer"),
    Key("image_use", \.imageUse, "ask with other pictures, blank ones and none too"),
    Key(
      "best", \.best, "a figure; its best checkpoint is kept as checkpoints/best",
      otherNames: ["metric_for_best_model"]),
    Key(
      "patience", \.patience, "evaluations without a better 'best' that end the run",
      otherNames: ["early_stopping_patience"]),
    Key("probe", \.probe, "a cheap look, while training, at whether the pictures are used"),
  ]

  func validate(at key: String) throws {
    try require(every >= 0, key + "every", "is \(every)", "give 0 or more")
    try require(!metrics.isEmpty, key + "metrics", "is empty", "name one, such as loss")
    try require(samples >= 0, key + "samples", "is \(samples)", "give 0 or more")
    try require(
      (1...Most.tokens).contains(maxNewTokens), key + "max_new_tokens", "is \(maxNewTokens)",
      "give 1 to \(Most.tokens)")
    try require(
      !imageUse || every > 0, key + "image_use", "is true, but nothing is evaluated", "set \(key)every")
    try require(
      best == nil || every > 0, key + "best", "is given, but nothing is evaluated", "set \(key)every")
    if let patience {
      try require(patience >= 1, key + "patience", "is \(patience)", "give 1 or more, or null")
      try require(
        best != nil, key + "patience", "is given without \(key)best", "name the figure that should get better")
    }
    try probe.validate(at: key + "probe.")
  }
}

/// A cheap look, while training, at whether the pictures are used: the loss of a few held-out records with their own
/// pictures and with others.
public struct ProbeConfiguration: Equatable, Sendable {
  public var every: Int?
  public var records = 8

  public init() {}

  /// Steps between two looks: by default one in 1600 records that are trained on, at least 25 steps.
  public func interval(globalBatch: Int) -> Int { every ?? max(25, (1600 + globalBatch - 1) / globalBatch) }
}

extension ProbeConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key(
      "every", \.every, "steps between looks; null: after 1600 records, at least 25 steps; 0: never"),
    Key("records", \.records, "held-out records with pictures that are looked at"),
  ]

  func validate(at key: String) throws {
    if let every { try require(every >= 0, key + "every", "is \(every)", "give 0 or more, or null") }
    try require(
      (2...Most.records).contains(records), key + "records", "is \(records)", "give 2 to \(Most.records)")
  }
}
