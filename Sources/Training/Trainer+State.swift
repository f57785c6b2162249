import Checkpoints
import Foundation
import Ground
import Parallel
import RunFile
import Tensors

/// What a checkpoint holds of a trainer, and how it gets there and back.
extension Trainer {
  /// The tensors of the state, in an order that follows from the model and the rule alone: the weights, one kind of the
  /// optimiser's state after the other, the averages.
  private var state: [(name: String, value: Tensor)] {
    var kinds: [String] = []
    for name in optimizer.states.flatMap({ $0.tensors.map(\.name) }) where !kinds.contains(name) { kinds.append(name) }
    var all = adapted.tuned.reversed().map { (SavedWeights.trained.prefix + $0.name, $0.value) }
    all += learned.map { ($0.name, $0.value) }
    for kind in kinds {
      for state in optimizer.states {
        all += state.tensors.filter { $0.name == kind }.map { ("optimizer.\(kind).\(state.parameter.name)", $0.value) }
      }
    }
    for kept in average?.averages ?? [] { all.append((SavedWeights.average.prefix + kept.parameter.name, kept.value)) }
    return all
  }

  /// What objectives train of their own.
  var learned: [Parameter] { parameters.filter { $0.name.hasPrefix(PairParameters.prefix) } }

  /// Makes sure that all ranks have taken up the same state. All ranks call it.
  /// - Throws: `Fault(.inputOutput)` on every rank.
  func requireSameState(as communicator: any Communicator, at place: String, _ backend: any Backend) throws {
    try communicator.agree(onWeights: state, at: place, backend)
  }

  /// Writes a checkpoint of the present state; every rank writes its share of the shards.
  public func save(
    in folder: String, configurationHash: String, extras: JSON, _ communicator: any Communicator, _ backend: any Backend
  ) throws {
    let state = state
    let plan = CheckpointPlan(
      tensors: state.map { .init(name: $0.name, dtype: $0.value.dtype, shape: $0.value.shape) })
    let writer = CheckpointWriter(folder: folder, step: step, plan: plan)
    communicator.activity = "checkpoint of step \(step)"
    do {
      try write(state, by: writer, configurationHash: configurationHash, extras: extras, communicator, backend)
    } catch {
      // All ranks have agreed that it failed: none writes any more.
      if communicator.rank == 0 { writer.abandon() }
      throw error
    }
  }

  private func write(
    _ state: [(name: String, value: Tensor)], by writer: CheckpointWriter, configurationHash: String, extras: JSON,
    _ communicator: any Communicator, _ backend: any Backend
  ) throws {
    let plan = writer.plan
    try communicator.agreeOnSuccess { if communicator.rank == 0 { try writer.begin() } }
    let records = try communicator.agreeOnSuccess {
      try plan.shards(ofRank: communicator.rank, of: communicator.count).map { shard in
        try writer.writeShard(shard) { piece in
          let tensor = state[piece.tensor].value
          guard let start = piece.box.contiguousStart(in: tensor.shape) else {
            preconditionFailure("save: a plan cuts tensors into contiguous boxes")
          }
          let range = start * tensor.dtype.size..<(start + piece.box.elementCount) * tensor.dtype.size
          // The trainer keeps these tensors; their memory outlives the call.
          return backend.withBytes(of: tensor) { UnsafeRawBufferPointer(rebasing: $0[range]) }
        }
      }
    }
    let gathered = try communicator.allGather(Array(JSON.array(records.map(\.json)).description.utf8))
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      let all = try gathered.flatMap { bytes in
        try (JSON(parsing: String(decoding: bytes, as: UTF8.self), at: "shard records").array ?? []).map {
          try ShardRecord($0, at: "shard records")
        }
      }
      let position: JSON = [
        "next_sample": .integer((step - self.plan.stepsBefore) * self.plan.globalBatch)
      ]
      try writer.commit(
        records: all,
        header: CheckpointHeader(
          step: step, dataPosition: position, seeds: ["train": .integer(Int(self.plan.seed))],
          configurationHash: configurationHash, extras: merged(extras)))
    }
  }

  /// The caller's extras with the counts of updates and the random state: streams are pure functions of
  /// (seed, step, micro-batch), so the step is all of it.
  private func merged(_ extras: JSON) -> JSON {
    var members = extras.object ?? [:]
    members["updates"] = .object(
      .init(uniqueKeysWithValues: optimizer.states.map { ($0.parameter.name, .integer($0.updates)) }))
    members["optimizer"] = .string(optimizer.rule.name.rawValue)
    members["random"] = ["kind": "counter", "seed": .integer(Int(plan.seed)), "step": .integer(step)]
    return .object(members)
  }

  /// Takes up the state of a checkpoint.
  /// - Throws: `Fault(.badConfiguration)` when it is of another set of trained parameters.
  public func restore(_ checkpoint: Checkpoint, _ backend: any Backend) throws {
    // At the end of the stage before this one, the optimiser's state is of no use any more.
    let isFresh = checkpoint.header.step == plan.stepsBefore
    func counts(_ name: String) -> Bool { !isFresh || name.hasPrefix(SavedWeights.trained.prefix) }
    let state = Dictionary(uniqueKeysWithValues: state.filter { counts($0.name) })
    let saved = Set(checkpoint.tensors.map(\.description.name).filter(counts))
    if !isFresh { try requireLike(checkpoint, saved) }
    if let other = Set(state.keys).symmetricDifference(saved).sorted().first {
      throw Fault(
        .badConfiguration, "the checkpoint and the run file train different parameters, such as '\(other)'",
        at: checkpoint.folder, "resume with the run file that it was made with, or use --resume never")
    }
    for tensor in checkpoint.tensors where counts(tensor.description.name) {
      let description = tensor.description
      guard let own = state[description.name], own.shape == description.shape, own.dtype == description.dtype else {
        throw Fault(
          .badConfiguration,
          "the checkpoint has '\(description.name)' as \(description.shape), the run \(state[description.name]?.shape ?? [])",
          at: checkpoint.folder, "resume with the run file that it was made with, or use --resume never")
      }
    }
    try checkpoint.readAll { name, _, _, bytes in
      guard let tensor = state[name] else { return }
      backend.overwrite(tensor, with: bytes)
    }
    for parameter in adapted.tuned + learned { parameter.valueChanged() }
    step = checkpoint.header.step
    guard !isFresh else {
      average?.restart()
      return
    }
    let updates = checkpoint.header.extras["updates"]
    for state in optimizer.states {
      guard let count = updates?[state.parameter.name]?.integer, count >= 0 else {
        throw Fault(
          .badData, "the checkpoint does not say how often '\(state.parameter.name)' was updated",
          at: checkpoint.folder, "resume from another checkpoint")
      }
      state.updates = count
    }
  }

  /// Refuses the checkpoint of another rule, or one without the averages that this run keeps, in words of the run file.
  private func requireLike(_ checkpoint: Checkpoint, _ saved: Set<String>) throws {
    let remedy = "resume with the run file that it was made with, or use --resume never"
    // Before there were other rules, checkpoints did not say theirs.
    let rule = checkpoint.header.extras["optimizer"]?.string ?? OptimizerConfiguration.Name.adamw.rawValue
    if rule != optimizer.rule.name.rawValue {
      throw Fault(
        .badConfiguration,
        "the checkpoint is of the optimizer '\(rule)', the run file asks for '\(optimizer.rule.name.rawValue)'",
        at: checkpoint.folder, remedy)
    }
    if saved.contains(where: { $0.hasPrefix(SavedWeights.average.prefix) }) != (average != nil) {
      let problem =
        average == nil
        ? "has averages of the weights, which the run file does not keep"
        : "has no averages of the weights, which the run file keeps (train.ema)"
      throw Fault(.badConfiguration, "the checkpoint \(problem)", at: checkpoint.folder, remedy)
    }
  }
}

extension Checkpoint {
  /// What objectives trained of their own.
  /// - Throws: as ``Checkpoint/read(_:)``.
  func learned() throws -> [(name: String, value: Float)] {
    try tensors.map(\.description).filter { $0.name.hasPrefix(PairParameters.prefix) && $0.dtype == .float32 }.map {
      ($0.name, try read($0.name).withUnsafeBytes { $0.loadUnaligned(as: Float.self) })
    }
  }
}
