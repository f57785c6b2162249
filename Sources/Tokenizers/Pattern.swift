import Ground

/// What a text is searched for: a string, a regular expression, or scalars of some class.
enum Pattern: Sendable {
  case literal([UInt8])
  case regex(RegularExpression)
  case scalars(@Sendable (Unicode.Scalar) -> Bool)
  /// Rust's `\w+|[^\w\s]+`: words, and runs of what is neither word nor space.
  case words

  /// Reads `{"String": …}` or `{"Regex": …}`.
  init(_ section: Section) throws {
    let place = section.place
    if let text = try section.string("String", default: nil) {
      // The empty string matches between all scalars, as a regular expression does.
      self = text.isEmpty ? .regex(try RegularExpression("", at: place)) : .literal(Array(text.utf8))
    } else if let text = try section.string("Regex", default: nil) {
      self = .regex(try RegularExpression(text, at: place))
    } else {
      throw Fault(.badConfiguration, "a pattern needs 'String' or 'Regex'", at: place, "correct the file")
    }
  }

  /// Calls `body` with each match in `range`, from left to right.
  func forEachMatch(
    in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void
  ) throws {
    switch self {
    case .literal(let literal): forEachLiteral(literal, text, range, body)
    case .regex(let regex):
      let base = range.lowerBound
      try regex.forEachMatch(in: UnsafeBufferPointer(rebasing: text[range])) {
        body($0.lowerBound + base..<$0.upperBound + base)
      }
    case .scalars(let belongs):
      UTF8Text.forEachScalar(text, in: range) { scalar, place in if belongs(scalar) { body(place) } }
    case .words: forEachWord(text, range, body)
    }
  }

  private func forEachLiteral(
    _ literal: [UInt8], _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void
  ) {
    let first = literal[0]
    var index = range.lowerBound
    let last = range.upperBound - literal.count
    while index <= last {
      if text[index] == first, UTF8Text.has(literal, text, in: index..<range.upperBound) {
        body(index..<index + literal.count)
        index += literal.count
      } else {
        index += 1
      }
    }
  }

  private func forEachWord(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
    enum Class { case space, word, other }
    var run = Class.space
    var start = range.lowerBound
    UTF8Text.forEachScalar(text, in: range) { scalar, place in
      let next: Class = scalar.isWordPart ? .word : scalar.isSpace ? .space : .other
      guard next != run else { return }
      if run != .space { body(start..<place.lowerBound) }
      (run, start) = (next, place.lowerBound)
    }
    if run != .space { body(start..<range.upperBound) }
  }
}
