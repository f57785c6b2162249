import Foundation
import Ground
import Synchronization

/// What communicators with several ranks have in common.
protocol ThreadedCommunicator: Communicator {
  var lane: CommunicationThread { get }
  var state: CommunicatorState { get }
}

/// What a communicator remembers beside its queue.
final class CommunicatorState: Sendable {
  /// How long a rank that has failed waits for the others to notice before it ends the job, in seconds.
  let grace: TimeInterval
  private let activity = Mutex("")
  private let depth = Mutex(0)

  init(grace: TimeInterval) { self.grace = grace }

  var currentActivity: String {
    get { activity.withLock { $0 } }
    set { activity.withLock { $0 = newValue } }
  }

  /// Runs `body` inside one more agreement and gives it the number of those around it.
  func nested<Value>(_ body: (Int) throws -> Value) rethrows -> Value {
    let outer = depth.withLock { depth in
      depth += 1
      return depth - 1
    }
    defer { depth.withLock { $0 -= 1 } }
    return try body(outer)
  }
}

extension ThreadedCommunicator {
  public var activity: String {
    get { state.currentActivity }
    set { state.currentActivity = newValue }
  }

  @discardableResult
  public func post<Value: Sendable>(_ name: String, _ work: @escaping @Sendable (any Collectives) throws -> Value)
    -> Posted<Value>
  {
    lane.post(name) { try work($0) }
  }

  public func agreeOnSuccess<Value>(_ body: () throws -> Value) throws -> Value {
    try state.nested { depth in
      let result = Result { try body() }
      let own: Fault? =
        switch result {
        case .success: nil
        case .failure(let error): Fault(reporting: error)
        }
      if let fault = agree(depth: depth, fault: own) { throw fault }
      return try result.get()
    }
  }

  /// The fault that all ranks throw, or nil. Ends the job when the others do not come.
  private func agree(depth: Int, fault: Fault?) -> Fault? {
    let deadline = fault.map { _ in ContinuousClock.now + .seconds(state.grace) }
    let places = places
    let activity = activity
    do {
      return try lane.post("agreement") { collectives in
        let wasInterrupted = collectives.isInterrupted
        let areTogether = try collectives.comeToAgreement(depth: depth, failed: fault != nil, deadline: deadline)
        guard areTogether else { return fault ?? .interrupted }
        let outcome = Outcome(of: fault, during: activity, interrupted: wasInterrupted)
        let outcomes = try collectives.allGather(outcome.bytes).map(Outcome.init(bytes:))
        return Outcome.verdict(outcomes, places: places)
      }.wait()
    } catch is MeetingTimeout {
      abort(fault ?? .interrupted)
    } catch {
      abort(Fault(reporting: error))
    }
  }

  public func leave() throws {
    defer { lane.close() }
    try lane.post("leave") { try $0.close() }.wait()
  }
}
