import Ground

/// A token that is recognised in the text itself, before and beside the model.
struct AddedToken: Sendable {
  /// UTF-8.
  var content: [UInt8]
  var isSpecial: Bool
  /// Only where no letter, digit or other part of a word stands beside it.
  var singleWord: Bool
  /// Whether it takes the spaces on its left, or right, into itself.
  var stripsLeft: Bool
  var stripsRight: Bool
  /// Whether it is looked for in the normalised text, in normalised form.
  var isNormalized: Bool

  init(_ section: Section) throws {
    content = Array(try section.string("content").utf8)
    isSpecial = try section.bool("special")
    singleWord = try section.bool("single_word")
    stripsLeft = try section.bool("lstrip")
    stripsRight = try section.bool("rstrip")
    isNormalized = try section.bool("normalized")
  }
}

/// All added tokens of a tokenizer, and finding them in text.
struct AddedTokens: Sendable {
  private(set) var ids: [[UInt8]: Int] = [:]
  private(set) var tokens: [Int: AddedToken] = [:]
  /// What each token is decoded as where that is not its content: its normalised form.
  private(set) var normalizedContents: [Int: [UInt8]] = [:]
  /// The contents of all special tokens.
  private(set) var specialContents: Set<[UInt8]> = []
  private let plain: TokenFinder
  private let normalized: TokenFinder

  /// The highest id + 1.
  var idEnd: Int { (tokens.keys.max() ?? -1) + 1 }

  /// Numbers the tokens as the reference implementation does: a token of the model keeps its id, the others
  /// follow the model in the order of the file, whatever ids the file gives them.
  init(_ sections: [Section], model: TokenModel, normalizers: [Normalizer]) throws {
    let vocabulary = model.vocabulary
    var next = model.listedCount
    for section in sections {
      let token = try AddedToken(section)
      guard !token.content.isEmpty else { continue }
      let id: Int
      if let known = ids[token.content] ?? vocabulary.id(token.content).map(Int.init) {
        id = known
      } else {
        id = next
        next += 1
      }
      ids[token.content] = id
      tokens[id] = token
      if token.isSpecial { specialContents.insert(token.content) }
      if token.isNormalized, !normalizers.isEmpty {
        var text = TextPieces(token.content)
        for normalizer in normalizers { try normalizer.apply(to: &text) }
        normalizedContents[id] = text.bytes == token.content ? nil : text.bytes
      }
    }
    let contents = tokens.mapValues(\.content).merging(normalizedContents) { $1 }
    let byForm = Dictionary(grouping: contents.map { (text: $1, id: $0) }) { [tokens] candidate in
      tokens[candidate.id]!.isNormalized
    }
    plain = TokenFinder(byForm[false] ?? [])
    normalized = TokenFinder(byForm[true] ?? [])
  }

  /// Cuts the tokens that are looked for in the text as it was written.
  func cutPlain(_ text: inout TextPieces) { cut(&text, plain) }

  /// Cuts the tokens that are looked for in normalised text.
  func cutNormalized(_ text: inout TextPieces) { cut(&text, normalized) }

  private func cut(_ text: inout TextPieces, _ finder: TokenFinder) {
    text.splitIntoTokens { bytes, piece, parts in
      let range = piece.range
      var end = range.lowerBound
      finder.forEachMatch(in: bytes, range) { match, id in
        guard let token = tokens[id] else { return }
        var (lower, upper) = (match.lowerBound, match.upperBound)
        if token.singleWord, hasWord(bytes, before: lower, in: range) || hasWord(bytes, at: upper, in: range) { return }
        if token.stripsLeft {
          while lower > range.lowerBound {
            let (value, length) = UTF8Text.scalar(bytes, before: lower)
            guard Unicode.Scalar(value)?.isSpace == true else { break }
            lower -= length
          }
          // Spaces that the match before this one has taken stay with it.
          lower = max(lower, end)
        }
        if token.stripsRight {
          while upper < range.upperBound {
            let (value, length) = UTF8Text.scalar(bytes, at: upper)
            guard Unicode.Scalar(value)?.isSpace == true else { break }
            upper += length
          }
        }
        if end < lower { parts.append((end..<lower, nil)) }
        parts.append((lower..<max(lower, upper), id))
        end = upper
      }
      if end != range.upperBound { parts.append((end..<range.upperBound, nil)) }
    }
  }

  private func hasWord(_ text: UnsafeBufferPointer<UInt8>, before index: Int, in range: Range<Int>) -> Bool {
    guard index > range.lowerBound else { return false }
    return Unicode.Scalar(UTF8Text.scalar(text, before: index).value)?.isWordPart ?? false
  }

  private func hasWord(_ text: UnsafeBufferPointer<UInt8>, at index: Int, in range: Range<Int>) -> Bool {
    guard index < range.upperBound else { return false }
    return Unicode.Scalar(UTF8Text.scalar(text, at: index).value)?.isWordPart ?? false
  }
}

/// Finds strings in text: the leftmost one, and the longest of those that begin there.
struct TokenFinder: Sendable {
  /// In the order of their bytes.
  private var strings: [(text: [UInt8], id: Int)] = []
  /// By first byte: which strings begin with it.
  private var groups = [Range<Int>](repeating: 0..<0, count: 256)

  /// Of two equal strings the one with the lower id counts; empty ones are left out.
  init(_ candidates: [(text: [UInt8], id: Int)]) {
    for candidate in candidates.sorted(by: {
      $0.text == $1.text ? $0.id < $1.id : $0.text.lexicographicallyPrecedes($1.text)
    })
    where !candidate.text.isEmpty && candidate.text != strings.last?.text {
      strings.append(candidate)
    }
    for byte in 0..<256 {
      let start = strings.partitioningIndex { $0.text[0] >= byte }
      groups[byte] = start..<strings.partitioningIndex { $0.text[0] > byte }
    }
  }

  func forEachMatch(in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>, Int) -> Void) {
    guard !strings.isEmpty else { return }
    groups.withUnsafeBufferPointer { groups in
      var index = range.lowerBound
      while index < range.upperBound {
        let group = groups[Int(text[index])]
        if !group.isEmpty, let (length, id) = longest(text, index..<range.upperBound, among: group) {
          body(index..<index + length, id)
          index += length
        } else {
          index += 1
        }
      }
    }
  }

  /// The longest of `group` that the text in `range` begins with.
  private func longest(
    _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, among group: Range<Int>
  ) -> (length: Int, id: Int)? {
    var group = group
    var found: (length: Int, id: Int)?
    var length = 1
    while !group.isEmpty {
      // The first of the group is the shortest: it is the whole prefix when one is.
      if strings[group.lowerBound].text.count == length {
        found = (length, strings[group.lowerBound].id)
        group = group.dropFirst()
      }
      guard length < range.count else { break }
      let byte = text[range.lowerBound + length]
      let start = strings[group].partitioningIndex { $0.text[length] >= byte }
      let end = strings[group].partitioningIndex { $0.text[length] > byte }
      group = start..<end
      length += 1
    }
    return found
  }
}

extension RandomAccessCollection {
  /// The first index from which on `belongs` holds; the collection must be partitioned by it.
  func partitioningIndex(where belongs: (Element) -> Bool) -> Index {
    var (low, count) = (startIndex, self.count)
    while count > 0 {
      let middle = index(low, offsetBy: count / 2)
      if belongs(self[middle]) {
        count /= 2
      } else {
        low = index(after: middle)
        count -= count / 2 + 1
      }
    }
    return low
  }
}
