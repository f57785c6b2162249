import Foundation
import Ground
import Synchronization

/// A world of one rank, without MPI: every collective is done as soon as it is posted.
public final class SingleProcess: Communicator {
  private let currentActivity = Mutex("")

  public let places = [RankPlace(host: hostName(), node: 0)]

  public init() {}

  public var rank: Int { 0 }
  public var count: Int { 1 }

  public var activity: String {
    get { currentActivity.withLock { $0 } }
    set { currentActivity.withLock { $0 = newValue } }
  }

  @discardableResult
  public func post<Value: Sendable>(_ name: String, _ work: @escaping @Sendable (any Collectives) throws -> Value)
    -> Posted<Value>
  {
    Posted(Result { try work(Alone()) })
  }

  public func agreeOnSuccess<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch {
      throw Fault(reporting: error)
    }
  }

  public func abort(_ fault: Fault) -> Never {
    report(fault)
    exit(fault.kind.rawValue)
  }

  public func leave() {}
}

/// This machine's name without its domain.
func hostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard gethostname(&name, name.count - 1) == 0 else { return "unknown-host" }
  let letters = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
  return String(decoding: letters.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)
}
