import Foundation
import Ground

/// One of several ranks that are threads of one process: for tests of everything that is parallel.
public final class InProcessCommunicator: ThreadedCommunicator {
  public let rank: Int
  public let count: Int
  public let places: [RankPlace]
  let lane: CommunicationThread
  let state: CommunicatorState
  let group: InProcessGroup

  private init(rank: Int, group: InProcessGroup, nodeSize: Int, grace: TimeInterval) throws {
    let (lane, places) = try CommunicationThread.start(
      { _ in InProcessTransport(rank: rank, group: group, nodeSize: nodeSize) }, describe: { $0.places })
    self.rank = rank
    self.count = places.count
    self.places = places
    self.lane = lane
    self.state = CommunicatorState(grace: grace)
    self.group = group
  }

  deinit { lane.close() }

  /// Runs `body` as `count` ranks, each on a thread of its own, and gives their results in rank order.
  ///
  /// When one of them throws, those that wait for it in a collective throw too.
  /// - Parameters:
  ///   - nodeSize: how many ranks are taken to be on one node; nil: all.
  ///   - patience: the longest wait in one collective, in seconds, before all ranks fail.
  ///   - grace: how long a rank that has failed in an agreement waits for the others.
  /// - Throws: what the first rank that failed threw.
  public static func run<Value: Sendable>(
    _ count: Int, nodeSize: Int? = nil, patience: TimeInterval = 60, grace: TimeInterval = 5,
    _ body: @escaping @Sendable (InProcessCommunicator) throws -> Value
  ) throws -> [Value] {
    precondition(count > 0, "InProcessCommunicator: no ranks")
    let group = InProcessGroup(count: count, patience: patience)
    let results = (0..<count).map { _ in Posted<Value?>() }
    for rank in 0..<count {
      let thread = Thread {
        results[rank].complete(
          Result {
            do {
              return try body(
                InProcessCommunicator(rank: rank, group: group, nodeSize: nodeSize ?? count, grace: grace))
            } catch {
              group.fail(Fault(reporting: error))
              throw error
            }
          })
      }
      thread.stackSize = 16 << 20
      group.onAbort(rank: rank) { results[rank].complete(.success(nil)) }
      thread.start()
    }
    let values = results.map { result in Result { try result.wait() } }
    if let failure = group.failure { throw failure }
    return try values.compactMap { try $0.get() }
  }

  /// Fails all ranks and ends this thread; ``run(_:patience:grace:_:)`` throws the fault.
  public func abort(_ fault: Fault) -> Never {
    group.abort(rank: rank, count > 1 ? fault.told(by: rank, at: places[rank], during: activity) : fault)
    pthread_exit(nil)
  }
}

/// The place where the threads of an ``InProcessCommunicator`` meet.
final class InProcessGroup: @unchecked Sendable {
  let count: Int
  private let patience: TimeInterval
  private let condition = NSCondition()
  // The rest is guarded by `condition`.
  private var deposits: [Any?]
  private var arrived = 0
  private var round = 0
  private var collected: [Any] = []
  private var fault: Fault?
  private var endings: [Int: () -> Void] = [:]

  init(count: Int, patience: TimeInterval) {
    self.count = count
    self.patience = patience
    deposits = Array(repeating: nil, count: count)
  }

  /// What failed first, if anything.
  var failure: Fault? { condition.withLock { fault } }

  /// Makes every wait of every rank throw, now and from now on.
  func fail(_ fault: Fault) {
    condition.withLock {
      if self.fault == nil { self.fault = fault }
      condition.broadcast()
    }
  }

  func onAbort(rank: Int, _ ending: @escaping () -> Void) {
    condition.withLock { endings[rank] = ending }
  }

  func abort(rank: Int, _ fault: Fault) {
    fail(fault)
    condition.withLock { endings[rank] }?()
  }

  /// Brings a value and gives those of all ranks, in rank order, when all have come.
  func meet<Deposit>(rank: Int, _ value: Deposit, deadline: ContinuousClock.Instant? = nil) throws -> [Deposit] {
    condition.lock()
    defer { condition.unlock() }
    if let fault { throw fault }
    let mine = round
    deposits[rank] = value
    arrived += 1
    if arrived == count {
      collected = deposits.map { $0 as Any }
      arrived = 0
      round += 1
      condition.broadcast()
    }
    let longest = ContinuousClock.now + .seconds(patience)
    let limit = min(longest, deadline ?? longest)
    while round == mine {
      // The condition counts by the wall clock, which may be set meanwhile: it waits only for a moment at a time.
      _ = condition.wait(until: Date(timeIntervalSinceNow: 0.05))
      if let fault { throw fault }
      if round == mine, limit < .now { throw MeetingTimeout() }
    }
    return collected.compactMap { $0 as? Deposit }
  }
}

/// Carries bytes between the threads of a group by copying.
final class InProcessTransport: Transport {
  let rank: Int
  let places: [RankPlace]
  var doing = ""
  private let group: InProcessGroup

  init(rank: Int, group: InProcessGroup, nodeSize: Int) {
    self.rank = rank
    self.group = group
    places = (0..<group.count).map { RankPlace(host: hostName(), node: $0 / nodeSize * nodeSize) }
  }

  var count: Int { group.count }

  func meet(_ values: [Int64], deadline: ContinuousClock.Instant?) throws -> [Int64] {
    let all = try group.meet(rank: rank, values, deadline: deadline)
    return values.indices.map { i in all.map { $0[i] }.max() ?? 0 }
  }

  func barrier() throws { _ = try group.meet(rank: rank, 0) }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws {
    let all = try group.meet(rank: rank, bytes)
    if rank != root { bytes.copyMemory(from: UnsafeRawBufferPointer(all[root])) }
    try barrier()
  }

  func allGather(_ bytes: UnsafeMutableRawBufferPointer, ranges: [Range<Int>]) throws {
    let all = try group.meet(rank: rank, bytes)
    for (peer, range) in ranges.enumerated() where peer != rank {
      UnsafeMutableRawBufferPointer(rebasing: bytes[range])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: all[peer][range]))
    }
    try barrier()
  }

  func exchange(sends: [Message], receives: [Message]) throws {
    let all = try group.meet(rank: rank, sends)
    var taken = [Int](repeating: 0, count: count)
    for message in receives {
      let offered = all[message.peer].filter { $0.peer == rank }
      let bytes = offered[taken[message.peer]].bytes
      taken[message.peer] += 1
      precondition(
        bytes.count == message.bytes.count, "exchange: \(bytes.count) bytes sent, \(message.bytes.count) asked")
      message.bytes.copyMemory(from: UnsafeRawBufferPointer(bytes))
    }
    try barrier()
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) throws { try sum(values) }
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) throws { try sum(values) }
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Int64>) throws { try sum(values) }

  private func sum<Number: AdditiveArithmetic>(_ values: UnsafeMutableBufferPointer<Number>) throws {
    let all = try group.meet(rank: rank, values)
    let sums = values.indices.map { i in all.dropFirst().reduce(all[0][i]) { $0 + $1[i] } }
    try barrier()
    _ = values.update(from: sums)
  }

  func idle() {}
  func close() {}
}
