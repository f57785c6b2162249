import Checkpoints
import Foundation
import Ground
import Parallel
import Tensors

/// What a checkpoint holds of a trainer, and how it gets there and back.
extension Trainer {
  private static let prefixes = (weight: "model.", first: "optimizer.first.", second: "optimizer.second.")

  /// The tensors of the state, in an order that follows from the model alone.
  private var state: [(name: String, value: Tensor)] {
    adapted.tuned.reversed().map { (Trainer.prefixes.weight + $0.name, $0.value) }
      + optimizer.states.map { (Trainer.prefixes.first + $0.parameter.name, $0.first) }
      + optimizer.states.map { (Trainer.prefixes.second + $0.parameter.name, $0.second) }
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
    members["random"] = ["kind": "counter", "seed": .integer(Int(plan.seed)), "step": .integer(step)]
    return .object(members)
  }

  /// Takes up the state of a checkpoint.
  /// - Throws: `Fault(.badConfiguration)` when it is of another set of trained parameters.
  public func restore(_ checkpoint: Checkpoint, _ backend: any Backend) throws {
    // At the end of the stage before this one, the optimiser's state is of no use any more.
    let isFresh = checkpoint.header.step == plan.stepsBefore
    func counts(_ name: String) -> Bool { !isFresh || name.hasPrefix(Trainer.prefixes.weight) }
    let state = Dictionary(uniqueKeysWithValues: state.filter { counts($0.name) })
    let saved = Set(checkpoint.tensors.map(\.description.name).filter(counts))
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
    step = checkpoint.header.step
    guard !isFresh else { return }
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
}
