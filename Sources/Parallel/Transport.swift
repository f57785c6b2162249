/// What carries bytes between ranks; used only on the communication thread, through ``GuardedCollectives``.
protocol Transport: AnyObject, Collectives {
  /// Where each rank runs.
  var places: [RankPlace] { get }
  /// What the rank is doing, in words, for the notes about long waits.
  var doing: String { get set }
  /// The element-wise maximum of `values` over all ranks; waits without burning the processor.
  /// - Throws: ``MeetingTimeout`` when not all ranks have come by `deadline`; the transport is of no use afterwards.
  func meet(_ values: [Int64], deadline: ContinuousClock.Instant?) throws -> [Int64]
  /// Called now and then while there is no job.
  func idle()
  /// Leaves the world in peace; all ranks call it.
  func close() throws
}

/// Some rank did not come to a meeting in time.
struct MeetingTimeout: Error {}

/// Where a rank runs.
public struct RankPlace: Equatable, Sendable {
  /// The name of the host, for messages.
  public let host: String
  /// Equal for ranks that share memory: the lowest of them.
  public let node: Int
}
