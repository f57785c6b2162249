/// Finding, cutting and replacing, equal to Python's `str` methods. Offsets are of UTF-8 bytes.
extension Text {
  /// Where `needle` first begins at or after `start`, and ends at or before `end`.
  func find(_ needle: Text, from start: Int = 0, to end: Int? = nil) -> Int? {
    let end = end ?? bytes.count
    let length = needle.bytes.count
    if length == 0 { return start <= end ? start : nil }
    guard start + length <= end else { return nil }
    return bytes.withUnsafeBufferPointer { hay in
      needle.bytes.withUnsafeBufferPointer { pin in
        var at = start
        let first = pin[0]
        while at + length <= end {
          if hay[at] == first, (1..<length).allSatisfy({ hay[at + $0] == pin[$0] }) { return at }
          at += 1
        }
        return nil
      }
    }
  }

  /// Where `needle` last begins in the range.
  func findLast(_ needle: Text, from start: Int = 0, to end: Int? = nil) -> Int? {
    let end = end ?? bytes.count
    let length = needle.bytes.count
    var at = end - length
    while at >= start {
      if (0..<length).allSatisfy({ bytes[at + $0] == needle.bytes[$0] }) { return at }
      at -= 1
    }
    return nil
  }

  func hasPrefix(_ prefix: Text, from start: Int = 0) -> Bool {
    bytes.count - start >= prefix.bytes.count
      && bytes[start..<start + prefix.bytes.count].elementsEqual(prefix.bytes)
  }

  func hasSuffix(_ suffix: Text) -> Bool {
    bytes.count >= suffix.bytes.count && bytes.suffix(suffix.bytes.count).elementsEqual(suffix.bytes)
  }

  /// Without the scalars of `unwanted` (white space when nil) at the chosen ends.
  func stripped(of unwanted: Text? = nil, left: Bool = true, right: Bool = true) -> Text {
    let set = unwanted.map { Set($0.scalars) }
    func goes(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? scalar.isPythonSpace }
    var start = 0
    var end = bytes.count
    while left, start < end {
      let (scalar, next) = self.scalar(at: start)
      guard goes(scalar) else { break }
      start = next
    }
    while right, end > start {
      let (scalar, before) = self.scalar(before: end)
      guard goes(scalar) else { break }
      end = before
    }
    return slice(start..<end)
  }

  /// `str.split` and `str.rsplit` at a separator; `most` cuts at most, without bound when negative.
  func split(at separator: Text, most: Int = -1, fromRight: Bool = false) throws -> [Text] {
    if separator.isEmpty { throw TemplateProblem("empty separator") }
    var pieces: [Text] = []
    var start = 0
    var end = bytes.count
    while most < 0 || pieces.count < most {
      if fromRight {
        guard let at = findLast(separator, to: end) else { break }
        pieces.append(slice(at + separator.bytes.count..<end))
        end = at
      } else {
        guard let at = find(separator, from: start) else { break }
        pieces.append(slice(start..<at))
        start = at + separator.bytes.count
      }
      try Text.check(pieces.count)
    }
    pieces.append(slice(start..<end))
    return fromRight ? pieces.reversed() : pieces
  }

  /// `str.split` and `str.rsplit` at runs of white space.
  func splitAtSpace(most: Int = -1, fromRight: Bool = false) throws -> [Text] {
    var words: [Range<Int>] = []
    var start: Int?
    var offset = 0
    while offset < bytes.count {
      let (scalar, next) = self.scalar(at: offset)
      if scalar.isPythonSpace {
        if let begun = start { words.append(begun..<offset) }
        start = nil
      } else if start == nil {
        start = offset
      }
      offset = next
      try Text.check(words.count)
    }
    if let begun = start { words.append(begun..<bytes.count) }
    guard most >= 0, words.count > most else { return words.map { slice($0) } }
    if fromRight {
      let rest = slice(0..<words[words.count - most - 1].upperBound)
      return [rest] + words.suffix(most).map { slice($0) }
    }
    let rest = slice(words[most].lowerBound..<bytes.count)
    return words.prefix(most).map { slice($0) } + [rest]
  }

  /// `str.splitlines`.
  func lines(keepEnds: Bool = false) throws -> [Text] {
    var lines: [Text] = []
    var start = 0
    var offset = 0
    while offset < bytes.count {
      var (scalar, next) = self.scalar(at: offset)
      if scalar.isPythonLineEnd {
        if scalar == "\r", next < bytes.count, bytes[next] == 0x0A { next += 1 }
        lines.append(slice(start..<(keepEnds ? next : offset)))
        start = next
        try Text.check(lines.count)
      }
      offset = next
    }
    if start < bytes.count { lines.append(slice(start..<bytes.count)) }
    return lines
  }

  /// Every occurrence of `old` (at most `most` when not negative) replaced by `new`.
  func replacing(_ old: Text, with new: Text, most: Int = -1) throws -> Text {
    var builder = TextBuilder()
    var start = 0
    var done = 0
    if old.isEmpty {
      let offsets = boundaries
      for (index, offset) in offsets.enumerated() {
        if most < 0 || done < most { try builder.append(new) }
        done += 1
        if index + 1 < offsets.count { try builder.append(self, offset..<offsets[index + 1]) }
      }
      return builder.text
    }
    while most < 0 || done < most, let at = find(old, from: start) {
      try builder.append(self, start..<at)
      try builder.append(new)
      start = at + old.bytes.count
      done += 1
    }
    if done == 0 { return self }
    try builder.append(self, start..<bytes.count)
    return builder.text
  }

  /// Number of occurrences that do not overlap.
  func occurrences(of needle: Text) -> Int {
    if needle.isEmpty { return scalarCount + 1 }
    var count = 0
    var start = 0
    while let at = find(needle, from: start) {
      count += 1
      start = at + needle.bytes.count
    }
    return count
  }

  private static func check(_ count: Int) throws {
    if count > 1_000_000 { throw TemplateProblem("it cuts a string into more than a million pieces") }
  }
}
