/// How a model is trained: how long, in what batches, which parts, towards what, by which rule.
public struct TrainConfiguration: Equatable, Sendable {
  /// Exactly one of `steps` and `epochs` is set in a valid configuration.
  public var steps: Int?
  public var epochs: Double? = 1
  public var globalBatch = 128
  public var microBatch = 1
  public var seed = 0
  public var precision = Precision.bfloat16
  public var parts = PartsConfiguration()
  public var objective = ObjectiveConfiguration()
  public var optimizer = OptimizerConfiguration()
  public var schedule = ScheduleConfiguration()
  public var clipNorm: Double? = 1
  public var balance = Balance.none
  public var textDropout = 0.0
  public var neftuneAlpha: Double?
  public var layerDecay: Double?
  public var ema: AverageConfiguration?
  public var recompute = false
  public var deterministic = true

  public init() {}
}

extension TrainConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("steps", \.steps, "optimizer steps; or give epochs", otherNames: ["max_steps"]),
    Key("epochs", \.epochs, "passes over the data; or give steps", otherNames: ["num_train_epochs", "num_epochs"]),
    Key(
      "global_batch", \.globalBatch, "samples per optimizer step, over all ranks",
      otherNames: ["batch_size", "global_batch_size", "train_batch_size"]),
    Key(
      "micro_batch", \.microBatch, "samples that are computed at once",
      otherNames: ["per_device_train_batch_size", "micro_batch_size"]),
    Key("seed", \.seed, "of sample order, dropout and fresh weights"),
    Key("precision", \.precision, "of frozen weights and matrix inputs", otherNames: ["bf16", "dtype", "torch_dtype"]),
    Key("parts", \.parts, "how each part of the model is trained"),
    Key("objective", \.objective, "what is minimised, by weight"),
    Key("optimizer", \.optimizer, "rule of the update", otherNames: ["optim"]),
    Key("schedule", \.schedule, "course of the learning rates", otherNames: ["lr_scheduler_type", "lr_scheduler"]),
    Key("clip_norm", \.clipNorm, "largest gradient norm; null: no clipping", otherNames: ["max_grad_norm"]),
    Key("balance", \.balance, "norms: each part's gradient in the same proportion to its weights"),
    Key("text_dropout", \.textDropout, "how often the embedding of a token that is not trained becomes 0"),
    Key(
      "neftune_alpha", \.neftuneAlpha, "noise on text embeddings, alpha / √(tokens · width); null: none",
      otherNames: ["neftune_noise_alpha"]),
    Key(
      "layer_decay", \.layerDecay, "each layer's rate by that of the layer above; null: one rate",
      otherNames: ["layerwise_lr_decay", "layer_wise_lr_decay", "llrd"]),
    Key("ema", \.ema, "keep a moving average of the trained weights; null: none", otherNames: ["use_ema"]),
    Key(
      "recompute", \.recompute, "compute activations twice to save memory", affectsTraining: false,
      otherNames: ["gradient_checkpointing"]),
    Key("deterministic", \.deterministic, "the same bits on any number of ranks"),
  ]

  mutating func settle(given: Set<String>) {
    if steps != nil, !given.contains("epochs") { epochs = nil }
    if steps == nil, epochs == nil { epochs = 1 }
  }

  func validate(at key: String) throws {
    try require(
      steps == nil || epochs == nil, key + "steps", "and '\(key)epochs' are both given",
      "keep one and set the other to null")
    let most = Most.steps
    if let steps { try require((1...most).contains(steps), key + "steps", "is \(steps)", "give 1 to \(most)") }
    if let epochs {
      try require(
        epochs > 0 && epochs <= Most.epochs, key + "epochs", "is \(epochs)",
        "give a number above 0, at most \(Int(Most.epochs))")
    }
    try require(
      (1...most).contains(globalBatch), key + "global_batch", "is \(globalBatch)", "give 1 to \(most)")
    try require(microBatch >= 1, key + "micro_batch", "is \(microBatch)", "give 1 or more")
    try require(
      microBatch <= globalBatch, key + "micro_batch", "is \(microBatch), more than the global batch of \(globalBatch)",
      "give at most \(key)global_batch")
    try require(seed >= 0, key + "seed", "is \(seed)", "give 0 or more")
    if let clipNorm {
      try require(
        clipNorm.isFinite && clipNorm > 0, key + "clip_norm", "is \(clipNorm)", "give a number above 0, or null")
    }
    if let layerDecay {
      try require(
        layerDecay > 0 && layerDecay <= 1, key + "layer_decay", "is \(layerDecay)", "give a number above 0, at most 1")
    }
    try require(
      textDropout >= 0 && textDropout <= 1, key + "text_dropout", "is \(textDropout)", "give a number from 0 to 1")
    if let neftuneAlpha {
      try require(
        neftuneAlpha.isFinite && neftuneAlpha > 0, key + "neftune_alpha", "is \(neftuneAlpha)",
        "give a number above 0, such as 5, or null")
    }
    try parts.validate(at: key + "parts.")
    try objective.validate(at: key + "objective.")
    try require(
      objective.imageContrast?.against != .shuffled || microBatch > 1, key + "micro_batch",
      "is 1, and 'image_contrast' takes pictures of other records of the micro-batch",
      "give 2 or more, or set image_contrast.against: blank")
    try optimizer.validate(at: key + "optimizer.")
    try ema?.validate(at: key + "ema.")
    try schedule.validate(at: key + "schedule.")
  }
}

/// How the gradients of the parts are brought into proportion.
public enum Balance: String, CaseIterable, Sendable { case none, norms }

extension Balance: RunFileChoice {}

/// The number type of the frozen weights and of what goes into matrix products; sums and trained weights are float32.
public enum Precision: String, CaseIterable, Sendable { case float32, bfloat16 }

extension Precision: RunFileChoice {}

/// The course of the learning rates: a warm-up from 0, then what `name` says.
public struct ScheduleConfiguration: Equatable, Sendable {
  public enum Name: String, CaseIterable, Sendable { case cosine, linear, constant }

  public var name = Name.cosine
  public var warmupRatio = 0.03
  public var warmupSteps: Int?

  public init() {}
}

extension ScheduleConfiguration.Name: RunFileChoice {}

extension ScheduleConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("name", \.name, "course after the warm-up"),
    Key("warmup_ratio", \.warmupRatio, "part of the steps that warm up; default with constant: 0"),
    Key("warmup_steps", \.warmupSteps, "steps that warm up, in place of warmup_ratio"),
  ]

  mutating func settle(given: Set<String>) {
    if name == .constant, !given.contains("warmup_ratio") { warmupRatio = 0 }
  }

  func validate(at key: String) throws {
    try require(
      warmupRatio >= 0 && warmupRatio <= 1, key + "warmup_ratio", "is \(warmupRatio)", "give a number from 0 to 1")
    if let warmupSteps {
      try require(
        (0...Most.steps).contains(warmupSteps), key + "warmup_steps", "is \(warmupSteps)", "give 0 to \(Most.steps)")
    }
  }
}
