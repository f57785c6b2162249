import Ground

/// A wish to see where the time of some steps goes, as a trace in a file.
public struct TraceRequest: Equatable, Sendable {
  /// The file that rank 0 writes.
  public var path: String
  /// The steps, counted from the first that the run does: after a resume too, that is 1.
  public var steps: ClosedRange<Int>?

  /// - Parameter steps: nil: the three after the first, which fills the memory pool; in a shorter run what there is of them.
  public init(path: String, steps: ClosedRange<Int>? = nil) {
    precondition(steps.map { $0.lowerBound >= 1 } ?? true, "TraceRequest: steps begin at 1")
    self.path = path
    self.steps = steps
  }

  /// Which steps of a run that does `count` are meant.
  /// - Throws: `Fault(.usage)` when the run ends before the first of them.
  func steps(ofRunOf count: Int) throws -> ClosedRange<Int> {
    guard let steps else { return min(2, count)...min(4, count) }
    guard steps.lowerBound <= count else {
      throw Fault(
        .usage, "the profile is to begin at step \(steps.lowerBound), but this run does \(count)",
        at: "--profile-steps", "count from the first step that this run does")
    }
    return steps.lowerBound...min(steps.upperBound, count)
  }
}
