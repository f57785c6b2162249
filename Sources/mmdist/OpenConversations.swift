import Datasets
import Ground
import Parallel
import RunFile
import Training

/// Conversations of a file, for commands that name data on the command line; all ranks call it and see the same.
func openConversations(
  _ path: String, images: String?, at option: String, _ communicator: any Communicator
) throws -> RecordSet {
  let source = DataSource(path: path, images: images ?? (isFolder(path) ? path : parentFolder(of: path)))
  let open = try OpenData([source], at: option, reading: .text)
  try open.requireSame(on: communicator)
  guard case .conversations(let records) = open else {
    throw Fault(.usage, "'\(path)' holds records with labels", at: option, "name a file of conversations")
  }
  return records
}
