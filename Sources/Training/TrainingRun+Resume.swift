import Checkpoints
import Foundation
import Ground
import RunFile

/// How a run goes on from what it kept.
extension TrainingRun {
  /// Finds the checkpoint to go on from, and takes it up.
  /// - Returns: nil where the run begins at its first step.
  func restore(_ resume: Resume) throws -> Checkpoint? {
    let found = try communicator.agreeOnSuccess { communicator.rank == 0 ? try choose(resume) ?? "" : "" }
    let folder = String(decoding: try communicator.broadcast(Array(found.utf8)), as: UTF8.self)
    guard !folder.isEmpty else {
      try requireSameStart()
      return nil
    }
    let checkpoint = try communicator.agreeOnSuccess {
      let checkpoint = try Checkpoint(folder: folder)
      try labels.requireSame(as: checkpoint)
      let stage = stage(of: checkpoint)
      if communicator.rank == 0 { noteDifferences(checkpoint, from: stage) }
      try begin(stage: stage)
      try trainer.restore(checkpoint, backend)
      return checkpoint
    }
    try trainer.requireSameState(as: communicator, at: folder, backend)
    if isLeader { audience.note("resumed after step \(trainer.step) from \(folder)") }
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      if case .from(let named) = resume {
        origin = TrainingRun.absolute(named)
        try putOtherBranchAside(folder)
      } else if checkpoint.header.configurationHash == configuration.hash {
        origin = checkpoint.header.extras[TrainingRun.originKey]?.string
      }
    }
    return checkpoint
  }

  /// Makes sure that all ranks begin with the same weights: as replicas they would stay apart for ever.
  private func requireSameStart() throws {
    let parameters = configuration.adapter == nil ? adapted.startsAsRead : adapted.tuned
    try communicator.agree(
      onWeights: (parameters + trainer.learned).map { ($0.name, $0.value) },
      at: configuration.adapter ?? configuration.model, backend)
  }

  /// The checkpoint to go on from; nil where there is none to be.
  private func choose(_ resume: Resume) throws -> String? {
    switch resume {
    case .never:
      try putEarlierRunAside()
      return nil
    case .auto:
      if let newest = try CheckpointFolder.newestValid(in: checkpoints, skipped: passOver) { return newest.folder }
      let count = try CheckpointFolder.list(in: checkpoints).count
      guard count > 0 else { return nil }
      throw Fault(
        .badData, "none of its \(count) checkpoints can be used", at: checkpoints,
        "name another by --resume DIR, or begin afresh by --resume never, which keeps what is there (in earlier-N)")
    case .from(let named):
      let newer = try CheckpointFolder.newestValid(in: checkpoints) { folder, why in
        // Of one whose manifest cannot be read nobody knows whether it would count, and another was asked for by name.
        if (try? Checkpoint(folder: folder)) != nil { try passOver(folder, why) }
      } where: { header in
        header.configurationHash == configuration.hash
          && header.extras[TrainingRun.originKey]?.string == TrainingRun.absolute(named)
      }
      return newer?.folder ?? CheckpointFolder.resolved(named)
    }
  }

  /// A damaged checkpoint is passed over; one that is perhaps whole, and only not readable now or by this program, is
  /// not: what it holds would be trained again, and what was said of it cut away.
  private func passOver(_ folder: String, _ why: Fault) throws {
    guard why.kind != .inputOutput, why.kind != .badConfiguration else {
      let remedy = why.kind == .inputOutput ? "start again when it can be read" : why.remedy
      throw Fault(
        why.kind, why.what, at: why.place ?? folder, remedy + ", or name the checkpoint to go on from by --resume DIR")
    }
    audience.note("warning: checkpoint is not used (\(folder)): \(why.what)")
  }

  /// The stage that goes on after a checkpoint.
  private func stage(of checkpoint: Checkpoint) -> Int {
    stages.firstIndex { checkpoint.header.step < $0.plan.lastStep } ?? stages.count - 1
  }

  private func noteDifferences(_ checkpoint: Checkpoint, from stage: Int) {
    let extras = checkpoint.header.extras
    if checkpoint.header.configurationHash != configuration.hash,
      let text = extras["run_file"]?.string, let earlier = try? RunConfiguration(parsing: text)
    {
      for difference in configuration.differences(from: earlier) {
        audience.note("warning: resuming, but \(difference)")
      }
    }
    let before = extras["data"]?.array ?? []
    for index in stages.indices.dropFirst(stage) where index < before.count {
      for difference in dataIdentities[index].differences(from: before[index]) {
        audience.note(
          "warning: resuming, but \(difference)\(stages[index].configuration.title): the steps that are left take other "
            + "records than they would have; put the data back, or begin afresh by --resume never")
      }
    }
  }

  // MARK: Branches

  /// In a checkpoint, which one its run was told to go on from by name: the same command goes on from the newest that
  /// says so, and does not begin there again.
  static let originKey = "resumed_from"

  private static func absolute(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
  }

  /// Moves what would be newer than the checkpoint that the run goes on from: the branch that is left. Of the earlier
  /// run everything, where the checkpoint is none of its own.
  private func putOtherBranchAside(_ folder: String) throws {
    func real(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
    guard parentFolder(of: real(folder)) == real(checkpoints) else { return try putEarlierRunAside() }
    guard try CheckpointFolder.list(in: checkpoints).contains(where: { $0.step > trainer.step }) else { return }
    let aside = try makeEarlierFolder()
    for name in ["run.yaml", "metrics.jsonl"] where isThere(name) {
      try writeDurably(readFile("\(configuration.output)/\(name)"), to: "\(aside)/\(name)")
    }
    try makeFolder("\(aside)/checkpoints")
    try CheckpointFolder.moveNewer(than: trainer.step, from: checkpoints, to: "\(aside)/checkpoints")
    audience.note("the checkpoints after step \(trainer.step) are now in \(aside)")
  }

  /// Moves what an earlier run left in the output folder to a folder of its own in it: nothing is lost.
  private func putEarlierRunAside() throws {
    let left = [
      "run.yaml", "metrics.jsonl", "tensorboard", "checkpoints", "adapter", "head", "objective.json", SkippedFile.name,
    ].filter(isThere)
    guard !left.isEmpty else { return }
    let (output, folder) = (configuration.output, try makeEarlierFolder())
    for name in left where rename("\(output)/\(name)", "\(folder)/\(name)") != 0 {
      throw Fault(.cannotWrite, "cannot move '\(name)': \(systemReason())", at: output, "check the permissions")
    }
    syncFolder(of: folder)
    audience.note("the earlier run of this output folder is now in \(folder)")
  }

  private func isThere(_ name: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(configuration.output)/\(name)")
  }

  /// The first of `earlier-1`, `earlier-2`, … that is free.
  private func makeEarlierFolder() throws -> String {
    var number = 1
    while isThere("earlier-\(number)") { number += 1 }
    let folder = "\(configuration.output)/earlier-\(number)"
    try makeFolder(folder)
    return folder
  }
}
