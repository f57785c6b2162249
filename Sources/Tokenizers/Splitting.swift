import Ground

/// Cuts text at the matches of a pattern.
struct Splitting: Sendable {
  /// What becomes of the matches; for `-` in `the-final--countdown`:
  enum Behavior: String, Sendable {
    /// `the` `final` `countdown`
    case removed = "Removed"
    /// `the` `-` `final` `-` `-` `countdown`
    case isolated = "Isolated"
    /// `the-` `final-` `-` `countdown`
    case mergedWithPrevious = "MergedWithPrevious"
    /// `the` `-final` `-` `-countdown`
    case mergedWithNext = "MergedWithNext"
    /// `the` `-` `final` `--` `countdown`
    case contiguous = "Contiguous"
  }

  let pattern: Pattern
  let behavior: Behavior
  /// Whether what lies between the matches counts as the match.
  var invert = false

  /// Appends the parts of `range` to `parts`, in order; parts may be empty.
  func cut(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into parts: inout [Range<Int>]) throws {
    if behavior == .isolated {
      try forEachSpan(text, range) { span, _ in parts.append(span) }
      return
    }
    if behavior == .removed {
      try forEachSpan(text, range) { span, isMatch in if !isMatch { parts.append(span) } }
      return
    }
    var spans: [(range: Range<Int>, isMatch: Bool)] = []
    try forEachSpan(text, range) { spans.append(($0, $1)) }
    if behavior == .mergedWithNext {
      let backward = merge(spans.reversed()) { $1.lowerBound..<$0.upperBound }
      parts.append(contentsOf: backward.reversed())
    } else {
      parts.append(contentsOf: merge(spans) { $0.lowerBound..<$1.upperBound })
    }
  }

  /// Calls `body` with matches and what lies between them, so that they cover `range`.
  private func forEachSpan(
    _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>, Bool) -> Void
  ) throws {
    var end = range.lowerBound
    try pattern.forEachMatch(in: text, range) { match in
      if match.lowerBound != end { body(end..<match.lowerBound, invert) }
      body(match, !invert)
      end = match.upperBound
    }
    if end != range.upperBound { body(end..<range.upperBound, invert) }
  }

  /// Joins spans to the one before them where the behaviour says so.
  private func merge(
    _ spans: some Sequence<(range: Range<Int>, isMatch: Bool)>, _ join: (Range<Int>, Range<Int>) -> Range<Int>
  ) -> [Range<Int>] {
    var merged: [Range<Int>] = []
    var lastIsMatch = false
    for span in spans {
      let joins = behavior == .contiguous ? span.isMatch == lastIsMatch : span.isMatch && !lastIsMatch
      if joins, let last = merged.last {
        merged[merged.count - 1] = join(last, span.range)
      } else {
        merged.append(span.range)
      }
      lastIsMatch = span.isMatch
    }
    return merged
  }
}
