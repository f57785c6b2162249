import Checkpoints
import Ground
import Parallel

/// Makes the folder of a report and finds out whether the report could be written: before the work, not after it.
func prepareReport(_ path: String) throws {
  let folder = parentFolder(of: path)
  if !folder.isEmpty { try makeFolder(folder) }
  try requireWritable(path)
}

/// A checkpoint that the command line names, the same on all ranks: a link such as `checkpoints/best` may lead elsewhere
/// a moment later, so rank 0 alone follows it. All ranks call it.
func openCheckpoint(_ folder: String, _ communicator: any Communicator) throws -> Checkpoint {
  let found = communicator.rank == 0 ? CheckpointFolder.resolved(folder) : ""
  return try openCheckpoint(String(decoding: communicator.broadcast(Array(found.utf8)), as: UTF8.self))
}

/// A checkpoint that the command line names.
func openCheckpoint(_ folder: String) throws -> Checkpoint {
  do { return try Checkpoint(folder: folder) } catch let fault as Fault where fault.kind == .missingInput {
    throw Fault(fault.kind, fault.what, at: fault.place, "name a folder step-…, as in run/checkpoints/step-00000500")
  }
}
