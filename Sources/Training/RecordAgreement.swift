import Datasets
import Ground
import Parallel

/// Ranks that see other records would train on other batches than is said: a listing of a folder may be old, and hosts
/// may have copies of their own that differ.
extension Communicator {
  /// Makes sure that all ranks see the same records in the same sources. All ranks call it.
  /// - Throws: `Fault(.inputOutput)` on every rank, naming the first rank and source that differ from what rank 0 sees.
  public func agree(onRecords sources: [SourceMark]) throws {
    let seen = try allGather(sources.flatMap { [Int64($0.count), Int64(bitPattern: $0.digest)] })
    guard let other = seen.firstIndex(where: { $0 != seen[0] }) else { return }
    let place = sources.indices.first { seen[other][2 * $0..<2 * $0 + 2] != seen[0][2 * $0..<2 * $0 + 2] } ?? 0
    let (theirs, first) = (seen[other][2 * place], seen[0][2 * place])
    let (rank, rank0) = ("rank \(other) on \(places[other].host)", "rank 0 on \(places[0].host)")
    throw Fault(
      .inputOutput,
      theirs == first ? "\(rank) sees other files than \(rank0)" : "\(rank) sees \(theirs) records, \(rank0) \(first)",
      at: sources[place].path,
      "start again while nothing writes there, with equal copies where hosts have their own")
  }
}

extension OpenData {
  /// The same of data that are open.
  public func requireSame(on communicator: any Communicator) throws {
    let sources =
      switch self {
      case .conversations(let records): records.sources.map(\.mark)
      case .labelled(let records): records.sources.map(\.mark)
      case .pairs(let records): records.sources.map(\.mark)
      }
    try communicator.agree(onRecords: sources)
  }
}
