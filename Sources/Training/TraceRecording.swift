import Ground
import Parallel

/// Records the steps that a ``TraceRequest`` asks for on all ranks, and writes them as one file on rank 0 as soon as the
/// last of them is done.
final class TraceRecording {
  /// The most spans of primitives and buckets that one file holds, over all ranks: some 70 MB.
  static let mostSpans = 400_000

  private let request: TraceRequest
  private let profile: Profile
  private let communicator: any Communicator
  /// Steps of the run as the trainer numbers them.
  private let steps: ClosedRange<Int>
  /// The clock of this rank's node where the trace begins.
  private var origin: UInt64 = 0
  private var recorded: ClosedRange<Int>?
  private var isWritten = false
  /// Why the file could not be written: told when the run is done, which it does not end.
  private var failure: Fault?

  /// - Parameter run: the steps that the run will do.
  /// - Throws: `Fault(.usage)` when they end before the first wanted one.
  init(_ request: TraceRequest, _ profile: Profile, run: Range<Int>, _ communicator: any Communicator) throws {
    self.request = request
    self.profile = profile
    self.communicator = communicator
    let wanted = try request.steps(ofRunOf: run.count)
    steps = run.lowerBound + wanted.lowerBound - 1...run.lowerBound + wanted.upperBound - 1
  }

  /// To be called before each step.
  func willDo(step: Int) throws {
    guard steps.contains(step) else { return }
    if recorded == nil {
      _ = profile.take()
      origin = try commonOrigin()
    }
    recorded = (recorded?.lowerBound ?? step)...step
    profile.isRecording = true
  }

  /// To be called after each step and its checkpoint.
  /// - Returns: what to tell of it, on rank 0, once the file is written.
  func didDo(step: Int) throws -> [String] {
    profile.isRecording = false
    guard step == steps.upperBound else { return [] }
    do {
      return try write()
    } catch let fault as Fault where fault.kind == .cannotWrite {
      failure = fault
      return []
    }
  }

  /// Writes what was recorded, unless that is done; to be called when the run ends.
  /// - Throws: `Fault(.cannotWrite)`, also where that was found out earlier.
  func finish() throws -> [String] {
    if let failure { throw failure }
    return try write()
  }

  private func write() throws -> [String] {
    guard !isWritten, let recorded else { return [] }
    isWritten = true
    let recording = profile.take()
    let summary = ProfileSummary(recording)
    let own = ChromeTrace.events(
      of: recording, rank: communicator.rank, host: communicator.host, origin: origin)
    let all = try communicator.gather(own)
    let omitted = try communicator.allReduceSum([recording.omitted])[0]
    try communicator.agreeOnSuccess {
      guard communicator.rank == 0 else { return }
      try writeDurably(ChromeTrace.file(all, steps: recorded, omitted: omitted), to: request.path)
    }
    guard communicator.rank == 0 else { return [] }
    let ranks = communicator.count == 1 ? "" : ", rank 0 of \(communicator.count)"
    var lines = ["profile of steps \(recorded.lowerBound) to \(recorded.upperBound)\(ranks): \(request.path)"]
    lines += summary.table
    if omitted > 0 {
      lines.append("warning: the profile's file lacks the last \(omitted) primitives; profile fewer steps to see them")
    }
    return lines
  }

  /// A moment that all ranks have in common, on each rank's own clock: ranks of one node share a clock, and other nodes
  /// begin theirs when all ranks have met.
  private func commonOrigin() throws -> UInt64 {
    try communicator.barrier()
    let now = try communicator.allGather(withUnsafeBytes(of: Profile.now, Array.init))
    let leader = communicator.hostRanks.first ?? communicator.rank
    return now[leader].withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
  }
}
