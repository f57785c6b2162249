import Ground

/// Unigram language model: of all ways to cut a word into tokens the one with the highest sum of their scores.
///
/// Kudo 2018, arXiv:1804.10959; found by Viterbi's algorithm, as SentencePiece does.
struct Unigram: Sendable {
  let vocabulary: Vocabulary
  /// By id.
  private let scores: [Double]
  /// A character without a token of its own has this score: 10 below the least.
  private let unknownScore: Double
  private let unknown: Int32?
  /// The tokens `<0x00>` … `<0xFF>` (nil: not in the vocabulary) that write what has no token; nil: they are not used.
  private let byteTokens: [Int32?]?
  private let prefixes: PrefixTable

  /// - Parameter file: the file that `section` is the `model` of.
  init(_ section: Section, of file: TokenizerFile) throws {
    var scores: [Double] = []
    vocabulary = try Vocabulary(at: "\(section.place).vocab") { body in
      try file.forEachScoredToken { token, score in
        try body(token, scores.count)
        scores.append(score)
      }
    }
    self.scores = scores
    unknownScore = (scores.min() ?? 0) - 10
    let given = section.json["unk_id"] ?? .null
    guard given.isNull || given.integer.map({ scores.indices.contains($0) }) == true else {
      throw Fault(.badData, "'unk_id' is not the number of a token", at: section.place, "correct the file")
    }
    unknown = given.integer.map { Int32(truncatingIfNeeded: $0) }
    byteTokens =
      try section.bool("byte_fallback", default: false)
      ? (0..<256).map { [vocabulary] in vocabulary.id(Vocabulary.byteToken(UInt8($0))) } : nil
    prefixes = PrefixTable(vocabulary)
  }

  /// Appends the tokens of a word to `result`.
  /// - Throws: `Fault(.badData)` for a character without a token where there is none for unknown ones.
  func tokenize(_ word: UnsafeBufferPointer<UInt8>, with bench: Workbench, into result: inout [WordToken]) throws {
    try bench.tokens(of: word, into: &result) { try cut(word, into: &$0) }
  }

  /// The best way to get to a place in a word: where its last token begins and which it is.
  private struct Arrival {
    var score = 0.0
    var start: Int32 = -1
    var token: Int32 = -1

    mutating func offer(_ score: Double, from start: Int, _ token: Int32) {
      guard self.start < 0 || score > self.score else { return }
      self = Arrival(score: score, start: Int32(truncatingIfNeeded: start), token: token)
    }
  }

  private func cut(_ word: UnsafeBufferPointer<UInt8>, into result: inout [WordToken]) throws {
    var arrivals = [Arrival](repeating: Arrival(), count: word.count + 1)
    var place = 0
    while place < word.count {
      let (length, score) = (UTF8Text.length(of: word[place]), arrivals[place].score)
      var isKnown = false
      prefixes.forEachToken(vocabulary, word, from: place) { token, count in
        arrivals[place + count].offer(score + scores[Int(token)], from: place, token)
        if count == length { isKnown = true }
      }
      if !isKnown {
        guard let unknown else { throw Unigram.noUnknownToken }
        arrivals[place + length].offer(score + unknownScore, from: place, unknown)
      }
      place += length
    }
    var pieces: [Range<Int>] = []
    var end = word.count
    var isBehindUnknown = false
    while end > 0 {
      let arrival = arrivals[end]
      let start = Int(arrival.start)
      // Unknown characters beside each other are one piece.
      if arrival.token == unknown, isBehindUnknown, let last = pieces.popLast() {
        pieces.append(start..<last.upperBound)
      } else {
        pieces.append(start..<end)
      }
      isBehindUnknown = arrival.token == unknown
      end = start
    }
    for piece in pieces.reversed() { try write(UnsafeBufferPointer(rebasing: word[piece]), into: &result) }
  }

  private func write(_ piece: UnsafeBufferPointer<UInt8>, into result: inout [WordToken]) throws {
    let length = Int32(piece.count)
    if let id = vocabulary.id(piece) {
      result.append(WordToken(id: id, length: length))
    } else if let bytes = byteTokens.map({ tokens in piece.compactMap { tokens[Int($0)] } }), bytes.count == piece.count
    {
      for (index, id) in bytes.enumerated() { result.append(WordToken(id: id, length: index == 0 ? length : -length)) }
    } else {
      guard let unknown else { throw Unigram.noUnknownToken }
      result.append(WordToken(id: unknown, length: length))
    }
  }

  private static let noUnknownToken = Fault(
    .badData, "the text has a character that the tokenizer has no token for, nor one for unknown ones",
    "give tokenizer.json an 'unk_id'")
}

/// The tokens of a vocabulary in the order of their bytes: finds all that a text goes on with.
private struct PrefixTable: Sendable {
  private let sorted: [Int32]
  /// By first byte, where its tokens begin in `sorted`; after them the count of all.
  private let starts: [Int]

  init(_ vocabulary: Vocabulary) {
    var ids: [Int32] = []
    for id in 0..<vocabulary.idEnd where vocabulary.token(id)?.isEmpty == false { ids.append(Int32(id)) }
    ids.sort { a, b in
      vocabulary.withToken(Int(a)) { first in
        vocabulary.withToken(Int(b)) { first.lexicographicallyPrecedes($0) }
      }
    }
    var counts = [Int](repeating: 0, count: 257)
    for id in ids { counts[vocabulary.withToken(Int(id)) { Int($0[0]) } + 1] += 1 }
    sorted = ids
    starts = counts.reduce(into: []) { $0.append(($0.last ?? 0) + $1) }
  }

  /// Calls `body` with each token that `word` has at `start`, the shortest first, and its length.
  func forEachToken(
    _ vocabulary: Vocabulary, _ word: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (Int32, Int) -> Void
  ) {
    let first = Int(word[start])
    var range = starts[first]..<starts[first + 1]
    var depth = 1
    while !range.isEmpty {
      // Of the tokens that agree so far one that ends here stands first.
      if vocabulary.length(Int(sorted[range.lowerBound])) == depth {
        body(sorted[range.lowerBound], depth)
        range = range.lowerBound + 1..<range.upperBound
      }
      guard start + depth < word.count else { return }
      let byte = word[start + depth]
      let low = partition(range) { vocabulary.byte(Int(sorted[$0]), at: depth) >= byte }
      range = low..<partition(low..<range.upperBound) { vocabulary.byte(Int(sorted[$0]), at: depth) > byte }
      depth += 1
    }
  }

  /// The first place of `range` from which on `belongs` holds.
  private func partition(_ range: Range<Int>, _ belongs: (Int) -> Bool) -> Int {
    var (low, high) = (range.lowerBound, range.upperBound)
    while low < high {
      let middle = (low + high) / 2
      if belongs(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
