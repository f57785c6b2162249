import Foundation
import Ground
import Synchronization

/// How many threads wait for the communication thread.
final class WaiterCount: Sendable {
  private let count = Atomic(0)

  var isAnyoneWaiting: Bool { count.load(ordering: .relaxed) > 0 }

  func during(_ wait: () -> Void) {
    count.add(1, ordering: .relaxed)
    wait()
    count.subtract(1, ordering: .relaxed)
  }
}

/// A value that a job on the communication thread will give.
public final class Posted<Value: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var result: Result<Value, any Error>?  // guarded by `condition`
  private let waiters: WaiterCount?

  init(waiters: WaiterCount? = nil) { self.waiters = waiters }

  init(_ result: Result<Value, any Error>) {
    self.result = result
    waiters = nil
  }

  func complete(_ result: Result<Value, any Error>) {
    condition.withLock {
      self.result = result
      condition.broadcast()
    }
  }

  /// Blocks until the job is done; what it threw is thrown here.
  @discardableResult
  public func wait() throws -> Value {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let result { return try result.get() }
      if let waiters { waiters.during(condition.wait) } else { condition.wait() }
    }
  }

  /// Whether ``wait()`` would return at once.
  public var isDone: Bool { condition.withLock { result != nil } }
}

/// The one thread that makes all calls of a transport: it runs the jobs that others post, in order.
final class CommunicationThread: @unchecked Sendable {
  private let waiters = WaiterCount()
  private let condition = NSCondition()
  private var jobs: [Job] = []  // guarded by `condition`
  private var isClosed = false  // guarded by `condition`

  private struct Job {
    let name: String
    let run: (GuardedCollectives) -> Void
  }

  /// Starts the thread and makes the transport on it.
  /// - Returns: the thread, and what `describe` says of the transport.
  static func start<Description: Sendable>(
    _ makeTransport: @escaping @Sendable (WaiterCount) throws -> any Transport,
    describe: @escaping @Sendable (any Transport) -> Description
  ) throws -> (CommunicationThread, Description) {
    let lane = CommunicationThread()
    let started = Posted<Description>()
    let thread = Thread {
      blockSignals()
      do {
        let transport = try makeTransport(lane.waiters)
        started.complete(.success(describe(transport)))
        lane.run(transport)
      } catch {
        started.complete(.failure(error))
      }
    }
    thread.name = "communication"
    thread.start()
    return (lane, try started.wait())
  }

  /// Puts a job at the end of the queue.
  func post<Value: Sendable>(_ name: String, _ work: @escaping @Sendable (GuardedCollectives) throws -> Value)
    -> Posted<Value>
  {
    let posted = Posted<Value>(waiters: waiters)
    let job = Job(name: name) { collectives in posted.complete(Result { try work(collectives) }) }
    condition.withLock {
      precondition(!isClosed, "\(name): posted after the communicator was left")
      jobs.append(job)
      condition.signal()
    }
    return posted
  }

  /// Lets the thread end when it has done what was posted.
  func close() {
    condition.withLock {
      isClosed = true
      condition.signal()
    }
  }

  private func run(_ transport: any Transport) {
    let collectives = GuardedCollectives(transport)
    while let job = nextJob(idle: transport.idle) {
      collectives.job = job.name
      job.run(collectives)
    }
  }

  private func nextJob(idle: () -> Void) -> Job? {
    while true {
      condition.lock()
      if jobs.isEmpty, !isClosed { _ = condition.wait(until: Date(timeIntervalSinceNow: 1)) }
      let job = jobs.isEmpty ? nil : jobs.removeFirst()
      let isOver = job == nil && isClosed
      condition.unlock()
      if job != nil || isOver { return job }
      idle()
    }
  }
}

/// Signals are for the main thread; the library's own threads inherit this.
private func blockSignals() {
  var all = sigset_t()
  sigfillset(&all)
  pthread_sigmask(SIG_SETMASK, &all, nil)
}
