/// A rendered conversation and the parts of it that are trained, as ranges of UTF-8 bytes in ascending order.
struct MarkedText: Equatable, Sendable {
  var text: String
  var spans: [Range<Int>]

  /// The same with every `tag` written `count` times, and the spans moved along; a tag at the edge of a span stays
  /// on the side where it was.
  func expanding(_ tag: String, to count: Int) -> MarkedText {
    let tags = occurrences(of: tag, in: text)
    guard count != 1, !tags.isEmpty else { return self }
    let growth = (count - 1) * tag.utf8.count
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count + max(0, growth) * tags.count)
    let repeated = [[UInt8]](repeating: Array(tag.utf8), count: count).flatMap { $0 }
    var start = text.utf8.startIndex
    for found in tags {
      let end = text.utf8.index(text.utf8.startIndex, offsetBy: found.lowerBound)
      bytes += text.utf8[start..<end]
      bytes += repeated
      start = text.utf8.index(end, offsetBy: found.count)
    }
    bytes += text.utf8[start...]
    let moved = { (offset: Int) in offset + growth * tags.count { $0.upperBound <= offset } }
    return MarkedText(
      text: String(decoding: bytes, as: UTF8.self),
      spans: spans.map { moved($0.lowerBound)..<moved($0.upperBound) })
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
