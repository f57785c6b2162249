/// A rendered conversation and the parts of it that are trained, as ranges of UTF-8 bytes in ascending order.
struct MarkedText: Equatable, Sendable {
  var text: String
  var spans: [Range<Int>]
  /// How much each of the spans counts; empty where all count as 1.
  var weights: [Float] = []
  /// The words that are bound to regions, by the numbers of their mentions.
  var named: [Int: Range<Int>] = [:]

  /// The same with every `tag` replaced, and the spans moved along; a tag at the edge of a span stays on the side
  /// where it was.
  func replacing(_ tag: String, with replacement: String) -> MarkedText {
    let tags = occurrences(of: tag, in: text)
    guard tag != replacement, !tags.isEmpty else { return self }
    let growth = replacement.utf8.count - tag.utf8.count
    let old = Array(text.utf8)
    var new: [UInt8] = []
    new.reserveCapacity(old.count + max(0, growth) * tags.count)
    var start = 0
    for found in tags {
      new += old[start..<found.lowerBound]
      new += replacement.utf8
      start = found.upperBound
    }
    new += old[start...]
    let moved = { (offset: Int) in offset + growth * tags.count { $0.upperBound <= offset } }
    return MarkedText(
      text: String(decoding: new, as: UTF8.self), spans: spans.map { moved($0.lowerBound)..<moved($0.upperBound) },
      weights: weights, named: named.mapValues { moved($0.lowerBound)..<moved($0.upperBound) })
  }
}

/// For each token, whether it overlaps a span, as transformers' processors mask.
///
/// A token of no width counts when it lies inside a span, not at its edge: so do blanks whose offsets were trimmed,
/// and tokens that the post-processor adds (0..<0) never do.
/// - Parameter offsets: the bytes of the text that each token stands for.
func overlapping(_ offsets: [Range<Int>], _ spans: [Range<Int>]) -> [Bool] {
  offsets.map { token in
    spans.contains { token.lowerBound < $0.upperBound && token.upperBound > $0.lowerBound }
  }
}

/// For each token the weight of the span that it overlaps, of several the greatest; 0 where it overlaps none.
func heaviest(_ offsets: [Range<Int>], _ spans: [Range<Int>], _ weights: [Float]) -> [Float] {
  zip(spans, weights).reduce(into: [Float](repeating: 0, count: offsets.count)) { heaviest, part in
    for (token, isInside) in overlapping(offsets, [part.0]).enumerated() where isInside {
      heaviest[token] = max(heaviest[token], part.1)
    }
  }
}

/// The tokens from the first to the last that overlap a span; empty where none does.
func tokens(_ offsets: [Range<Int>], under span: Range<Int>) -> Range<Int> {
  let found = overlapping(offsets, [span])
  guard let first = found.firstIndex(of: true), let last = found.lastIndex(of: true) else { return 0..<0 }
  return first..<last + 1
}
