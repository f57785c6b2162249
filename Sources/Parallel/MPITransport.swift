import COpenMPI
import Foundation
import Ground

/// Carries bytes by MPI; made and used on the communication thread only.
final class MPITransport: Transport {
  let rank: Int
  private(set) var places: [RankPlace] = []
  var doing = ""
  fileprivate let world: OpaquePointer
  private let meeting = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 4)
  private var waits: LongWaits
  private let waiters: WaiterCount

  init(patience: TimeInterval, waiters: WaiterCount) throws {
    self.waiters = waiters
    // A transfer that waits for its peer must not take the core from a compute thread; what the user has set wins.
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0)
    var made: OpaquePointer?
    try check(mmdist_mpi_start(&made), "cannot start MPI")
    guard let made else { throw mpiFault(0, "cannot start MPI") }
    world = made
    rank = Int(mmdist_mpi_rank(made))
    waits = LongWaits(count: Int(mmdist_mpi_count(made)), patience: patience)
    places = try allGather(Parallel.bytes(of: Int64(mmdist_mpi_node(made))) + Array(hostName().utf8)).map { bytes in
      RankPlace(host: String(decoding: bytes.dropFirst(8), as: UTF8.self), node: Int(numbers(in: bytes, Int64.self)[0]))
    }
  }

  deinit { meeting.deallocate() }

  var count: Int { Int(mmdist_mpi_count(world)) }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws {
    try check(mmdist_mpi_broadcast(world, bytes.baseAddress, bytes.count, Int32(root)), "broadcast failed")
  }

  func allGather(_ bytes: UnsafeMutableRawBufferPointer, ranges: [Range<Int>]) throws {
    try check(
      mmdist_mpi_all_gather(world, bytes.baseAddress, ranges.map(\.lowerBound), ranges.map(\.count)),
      "all-gather failed")
  }

  func exchange(sends: [Message], receives: [Message]) throws {
    func raw(_ messages: [Message]) -> [mmdist_mpi_message] {
      messages.map { mmdist_mpi_message(peer: Int32($0.peer), bytes: $0.bytes.baseAddress, count: $0.bytes.count) }
    }
    try check(
      mmdist_mpi_exchange_begin(world, raw(sends), sends.count, raw(receives), receives.count), "exchange failed")
    let began = steadySeconds()
    var done: Int32 = 0
    while true {
      try check(mmdist_mpi_exchange_test(world, &done), "exchange failed")
      if done != 0 { return }
      nap(after: steadySeconds() - began)
    }
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    try check(mmdist_mpi_sum_floats(world, values.baseAddress, values.count), "sum failed")
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    try check(mmdist_mpi_sum_doubles(world, values.baseAddress, values.count), "sum failed")
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    try check(mmdist_mpi_sum_int64(world, values.baseAddress, values.count), "sum failed")
  }

  /// A meeting is a barrier by itself.
  func barrier() throws { _ = try meet([0, 0, 0, 0], deadline: nil) }

  func close() throws {
    idle()
    try check(mmdist_mpi_finish(world), "cannot leave MPI")
  }
}

// MARK: Waiting

extension MPITransport {
  /// The transfer that follows finds all ranks present and runs at full speed.
  func meet(_ values: [Int64], deadline: ContinuousClock.Instant?) throws -> [Int64] {
    precondition(values.count == meeting.count, "a meeting takes \(meeting.count) values")
    _ = meeting.update(from: values)
    try check(mmdist_mpi_meet_begin(world, meeting.baseAddress, Int32(meeting.count)), "meeting failed")
    let began = steadySeconds()
    var told = began
    var done: Int32 = 0
    while true {
      try check(mmdist_mpi_meet_test(world, &done), "meeting failed")
      if done != 0 { return Array(meeting) }
      let now = steadySeconds()
      if let deadline, deadline < .now { throw MeetingTimeout() }
      if now - told > waits.patience {
        told = now
        try tellOfLongWait(at: now)
      }
      if rank == 0, now - began > 1 { try takeNotices(at: now) }
      nap(after: now - began)
    }
  }

  /// Leaves the core to the compute threads between two looks: a thread that yields it gets it back only after a whole
  /// slice of theirs. Naps grow with the wait, as every look takes the core for a moment; they stay short where somebody
  /// waits for the result and a core is idle for it.
  private func nap(after waited: Double) {
    let longest = waited > 1 ? 0.001 : waiters.isAnyoneWaiting ? 0.00001 : 0.0004
    usleep(UInt32(min(max(waited, 0.00001), longest) * 1e6))
  }

  private func tellOfLongWait(at time: Double) throws {
    if rank == 0 {
      waits.note(rank: 0, text: doing, at: time)
    } else {
      var text = Array(doing.utf8.prefix(Int(MMDIST_MPI_NOTICE) - 1)).map(CChar.init(bitPattern:))
      text += Array(repeating: 0, count: Int(MMDIST_MPI_NOTICE) - text.count)
      try check(mmdist_mpi_notify(world, text), "notice failed")
    }
  }

  private func takeNotices(at time: Double) throws {
    var text = [CChar](repeating: 0, count: Int(MMDIST_MPI_NOTICE))
    var source: Int32 = -1
    repeat {
      try check(mmdist_mpi_take_notice(world, &text, &source), "notice failed")
      guard source >= 0 else { break }
      let letters = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      waits.note(rank: Int(source), text: String(decoding: letters, as: UTF8.self), at: time)
    } while true
    if let line = waits.line(at: time) { writeLine(line) }
  }

  func idle() {
    guard rank == 0 else { return }
    // A notice that cannot be taken is no reason to fail; the next collective will tell what is wrong.
    try? takeNotices(at: steadySeconds())
  }
}

/// Ends an MPI job at once, from any thread.
struct JobEnding: @unchecked Sendable {
  private let world: OpaquePointer?

  init(_ transport: MPITransport?) { world = transport?.world }

  /// - Parameter code: what the launcher shall exit with.
  func end(code: Int32) -> Never {
    if let world { mmdist_mpi_abort(world, code) }
    _exit(code)
  }
}

private func steadySeconds() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }

private func check(_ code: Int32, _ what: String) throws {
  if code != 0 { throw mpiFault(code, what) }
}

private func mpiFault(_ code: Int32, _ what: String) -> Fault {
  var words = [CChar](repeating: 0, count: 512)
  mmdist_mpi_reason(code, &words, words.count)
  let letters = words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
  return Fault(
    .inputOutput, "\(what): \(String(decoding: letters, as: UTF8.self))", "check the network and the MPI installation")
}
