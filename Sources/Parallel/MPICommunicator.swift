import Foundation
import Ground

/// The ranks of an MPI job.
public final class MPICommunicator: ThreadedCommunicator {
  public let rank: Int
  public let places: [RankPlace]
  let lane: CommunicationThread
  let state: CommunicatorState
  private let ending: JobEnding

  /// Joins the MPI job that this process was started in; once a process.
  /// - Parameters:
  ///   - patience: how long a wait may be before rank 0 says who waits for whom, in seconds.
  ///   - grace: how long a rank that has failed waits for the others to notice before it ends the job, in seconds.
  public init(patience: TimeInterval = 60, grace: TimeInterval = 5) throws {
    let (lane, joined) = try CommunicationThread.start(
      { try MPITransport(patience: patience, waiters: $0) },
      describe: { transport in
        (rank: transport.rank, places: transport.places, ending: JobEnding(transport as? MPITransport))
      })
    rank = joined.rank
    places = joined.places
    ending = joined.ending
    self.lane = lane
    state = CommunicatorState(grace: grace)
  }

  public var count: Int { places.count }

  public func abort(_ fault: Fault) -> Never {
    // When all ranks fail at once, the lowest one's line and end come first and spare the others'.
    if rank > 0 { Thread.sleep(forTimeInterval: 0.2) }
    writeLine("mmdist: error: \(fault.told(by: rank, at: places[rank], during: activity))")
    ending.end(code: fault.kind.rawValue)
  }
}
