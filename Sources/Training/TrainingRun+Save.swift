import Checkpoints
import Foundation
import Ground
import OrderedCollections
import RunFile

/// What a run keeps of itself.
extension TrainingRun {
  /// Writes a checkpoint of the present state and all that follows from it; then older ones may go.
  func save() throws {
    try trainer.save(
      in: checkpoints, configurationHash: configuration.hash, extras: checkpointExtras, communicator, backend)
    try publish(
      learned: trainer.learned.map { parameter in (parameter.name, backend.read(parameter.value)[0]) })
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      try CheckpointFolder.prune(
        in: checkpoints, keep: configuration.checkpoint.keep, written: trainer.step,
        always: Set([history.best?.step].compactMap(\.self)), left: warnOnce)
    }
  }

  /// The new checkpoint is safe: an old one that cannot go yet ends no run.
  private func warnOnce(of left: Fault) {
    guard !hasWarnedOfLeftovers else { return }
    hasWarnedOfLeftovers = true
    audience.note("warning: an old checkpoint stays until it can be removed: \(left)")
  }

  /// What a checkpoint says beside its state.
  private var checkpointExtras: JSON {
    var members = labels.checkpointExtras(configuration.yaml).object ?? [:]
    members["data"] = .array(dataIdentities.map(\.json))
    members[TrainingRun.originKey] = origin.map(JSON.string)
    return .object(members)
  }

  /// Writes what follows from the newest checkpoint and lies outside of it, as often as one likes: after each checkpoint,
  /// and again when a run goes on from one, as the program may have ended between the two.
  /// - Parameter learned: what objectives train of their own.
  func publish(learned: @autoclosure () throws -> [(name: String, value: Float)]) throws {
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      let learned = try learned()
      if adapted.isAdapter { try adapted.saveAdapter(to: configuration.output + "/adapter", backend: backend) }
      if let head = configuration.head {
        try adapted.saveHead(to: configuration.output + "/head", head, backend)
      }
      if !learned.isEmpty {
        let numbers = learned.map { name, value in
          (String(name.dropFirst(PairParameters.prefix.count)), JSON.number(Double(value)))
        }
        try writeDurably(
          JSON.object(.init(uniqueKeysWithValues: numbers)).indented, to: configuration.output + "/objective.json")
      }
      try linkBest()
    }
  }

  /// Lets `checkpoints/best` lead to the best checkpoint, and `best.json` say why; a link that leads nowhere goes.
  private func linkBest() throws {
    let (link, fresh, reason) = (checkpoints + "/best", checkpoints + "/best.new", checkpoints + "/best.json")
    let files = FileManager.default
    guard let best = history.best, let json = history.json,
      files.fileExists(atPath: "\(checkpoints)/\(CheckpointFolder.name(best.step))")
    else {
      if !files.fileExists(atPath: link), unlink(link) == 0 { unlink(reason) }
      return
    }
    unlink(fresh)
    guard symlink(CheckpointFolder.name(best.step), fresh) == 0, rename(fresh, link) == 0 else {
      throw Fault(.cannotWrite, "cannot make the link: \(systemReason())", at: link, "check the permissions")
    }
    try writeDurably(json.indented, to: reason)
  }
}
