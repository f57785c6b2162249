/// How the ranks share the work.
public struct ParallelConfiguration: Equatable, Sendable {
  public enum Strategy: String, CaseIterable, Sendable { case replica, shard }

  public var strategy = Strategy.replica
  public var zero = 1

  public init() {}
}

extension ParallelConfiguration.Strategy: RunFileChoice {}

extension ParallelConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("strategy", \.strategy, "replica: every rank holds the whole model"),
    Key("zero", \.zero, "with shard: 1 optimizer state, 2 gradients too, 3 weights too", otherNames: ["zero_stage"]),
  ]

  func validate(at key: String) throws {
    try refuse(strategy == .shard, key + "strategy", "shard", instead: "use replica")
    try require(
      zero == 1, key + "zero", "is \(zero), which only 'strategy: shard' reads, and this version cannot run that yet",
      "remove it")
  }
}

/// When checkpoints are written and how many stay.
public struct CheckpointConfiguration: Equatable, Sendable {
  public var every = 500
  public var keep = 3

  public init() {}
}

extension CheckpointConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("every", \.every, "steps between checkpoints; 0: only at the end", otherNames: ["save_steps"]),
    Key("keep", \.keep, "newest checkpoints that stay", otherNames: ["save_total_limit"]),
  ]

  func validate(at key: String) throws {
    try require(every >= 0, key + "every", "is \(every)", "give 0 or more")
    try require(keep >= 1, key + "keep", "is \(keep)", "give 1 or more")
  }
}

/// What is reported while the run goes on.
public struct LogConfiguration: Equatable, Sendable {
  public var every = 1
  public var tensorboard = true
  public var objectiveNormsEvery = 200

  public init() {}
}

extension LogConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("every", \.every, "steps between lines of progress", otherNames: ["logging_steps"]),
    Key("tensorboard", \.tensorboard, "write event files too"),
    Key(
      "objective_norms_every", \.objectiveNormsEvery,
      "steps between measurements of each objective's gradient and each part's update; 0: none"),
  ]

  func validate(at key: String) throws {
    try require(every >= 1, key + "every", "is \(every)", "give 1 or more")
    try require(
      objectiveNormsEvery >= 0, key + "objective_norms_every", "is \(objectiveNormsEvery)", "give 0 or more")
  }
}
