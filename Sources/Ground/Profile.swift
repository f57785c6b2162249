import Dispatch
import Synchronization

/// Where the time of a run goes: spans of named work on one monotonic clock, and their sums.
///
/// Any thread may record. While `isRecording` is false a span costs one look at a flag.
public final class Profile: Sendable {
  /// What a span stands for. On the compute thread a step holds phases and a phase holds primitives.
  public enum Kind: String, Sendable {
    case step, phase, primitive
    /// One bucket of gradients on the communication thread.
    case exchange
  }

  /// What a span worked on.
  public struct Work: Equatable, Sendable {
    /// Of the operands; of a product op(a) and op(b).
    public var shapes: [[Int]]
    /// The number types of matrix work: "F32", "BF16", "BF16+F32"; nil for other work.
    public var type: String?
    /// Floating-point operations of matrix work, a multiplication and an addition counted as two; 0 for other work.
    public var operations: Int
    /// Those of them whose factors have 16 bits.
    public var narrowOperations: Int
    /// Bytes that this rank sent.
    public var bytes: Int

    public init(
      shapes: [[Int]] = [], type: String? = nil, operations: Int = 0, narrowOperations: Int = 0, bytes: Int = 0
    ) {
      self.shapes = shapes
      self.type = type
      self.operations = operations
      self.narrowOperations = narrowOperations
      self.bytes = bytes
    }
  }

  public struct Span: Equatable, Sendable {
    public let kind: Kind
    public let name: String
    /// Nanoseconds of the monotonic clock.
    public let start: UInt64
    public let end: UInt64
    public let work: Work

    public init(kind: Kind, name: String, start: UInt64, end: UInt64, work: Work = Work()) {
      (self.kind, self.name, self.start, self.end, self.work) = (kind, name, start, end, work)
    }
  }

  /// What is added up in one ``Total``.
  public struct Key: Hashable, Sendable {
    public let kind: Kind
    public let name: String
    public let type: String?

    public init(_ kind: Kind, _ name: String, type: String? = nil) {
      (self.kind, self.name, self.type) = (kind, name, type)
    }
  }

  /// The sums over the spans of one key.
  public struct Total: Equatable, Sendable {
    public var calls = 0
    public var seconds = 0.0
    public var operations = 0
    public var narrowOperations = 0
    public var bytes = 0
  }

  /// All that was recorded.
  public struct Recording: Sendable {
    /// In the order of their ends.
    public var spans: [Span] = []
    /// Spans beyond the limit, which only ``totals`` hold.
    public var omitted = 0
    public var totals: [Key: Total] = [:]

    public init() {}
  }

  private let recording = Mutex(Recording())
  private let limit: Int
  private let flag = Atomic(false)

  /// - Parameter limit: how many spans of primitives and exchanges are kept; more are only added up.
  public init(limit: Int) { self.limit = limit }

  public var isRecording: Bool {
    get { flag.load(ordering: .relaxed) }
    set { flag.store(newValue, ordering: .relaxed) }
  }

  /// The clock, in nanoseconds; processes of one machine read the same one.
  public static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

  /// Does `body`, and records how long it took.
  ///
  /// - Parameter work: asked for when `body` is done, and only while recording.
  public func span<Value>(
    _ kind: Kind, _ name: String, _ work: @autoclosure () -> Work, _ body: () throws -> Value
  ) rethrows -> Value {
    guard isRecording else { return try body() }
    let start = Profile.now
    let value = try body()
    add(Span(kind: kind, name: name, start: start, end: Profile.now, work: work()))
    return value
  }

  public func add(_ span: Span) {
    recording.withLock { recording in
      let key = Key(span.kind, span.name, type: span.work.type)
      recording.totals[key, default: Total()].add(span)
      let isDetail = span.kind == .primitive || span.kind == .exchange
      if isDetail, recording.spans.count >= limit {
        recording.omitted += 1
      } else {
        recording.spans.append(span)
      }
    }
  }

  /// Hands over what was recorded and forgets it.
  public func take() -> Recording {
    recording.withLock { recording in
      defer { recording = Recording() }
      return recording
    }
  }
}

extension Profile.Total {
  mutating func add(_ span: Profile.Span) {
    calls += 1
    seconds += Double(span.end - span.start) * 1e-9
    operations += span.work.operations
    narrowOperations += span.work.narrowOperations
    bytes += span.work.bytes
  }
}

extension Profile.Recording {
  /// The sum of all spans of a kind and, where given, a name.
  public func total(_ kind: Profile.Kind, _ name: String? = nil) -> Profile.Total {
    totals.reduce(into: Profile.Total()) { sum, entry in
      guard entry.key.kind == kind, name == nil || entry.key.name == name else { return }
      sum.calls += entry.value.calls
      sum.seconds += entry.value.seconds
      sum.operations += entry.value.operations
      sum.narrowOperations += entry.value.narrowOperations
      sum.bytes += entry.value.bytes
    }
  }
}
