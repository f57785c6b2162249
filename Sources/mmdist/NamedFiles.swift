import Checkpoints
import Ground

/// Makes the folder of a report and finds out whether the report could be written: before the work, not after it.
func prepareReport(_ path: String) throws {
  let folder = parentFolder(of: path)
  if !folder.isEmpty { try makeFolder(folder) }
  try requireWritable(path)
}

/// A checkpoint that the command line names.
func openCheckpoint(_ folder: String) throws -> Checkpoint {
  do { return try Checkpoint(folder: folder) } catch let fault as Fault where fault.kind == .missingInput {
    throw Fault(fault.kind, fault.what, at: fault.place, "name a folder step-…, as in run/checkpoints/step-00000500")
  }
}
