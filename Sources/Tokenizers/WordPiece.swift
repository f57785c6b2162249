import Ground

/// WordPiece: a word is cut from the left into the longest tokens that there are; one that cannot be cut is unknown.
///
/// Schuster and Nakajima 2012, "Japanese and Korean Voice Search"; Devlin et al. 2019, arXiv:1810.04805.
struct WordPiece: Sendable {
  let vocabulary: Vocabulary
  /// Written before every token but the first of a word.
  let prefix: [UInt8]
  /// Longer words, in scalars, are unknown.
  let longestWord: Int
  /// The token of unknown words; nil where the vocabulary lacks it.
  let unknown: Int32?
  let unknownName: String
  /// The longest token, in bytes: nothing longer needs to be looked for.
  private let longestToken: Int

  /// - Parameters:
  ///   - section: the `model` of a `tokenizer.json`.
  ///   - forEachToken: calls its argument with every token and its id.
  init(_ section: Section, _ forEachToken: (([UInt8], Int) throws -> Void) throws -> Void) throws {
    let vocabulary = try Vocabulary(at: "\(section.place).vocab", forEachToken)
    self.vocabulary = vocabulary
    longestToken = (0..<vocabulary.idEnd).lazy.map { vocabulary.token($0)?.count ?? 0 }.max() ?? 0
    prefix = Array(try (section.string("continuing_subword_prefix", default: nil) ?? "##").utf8)
    longestWord = section.json["max_input_chars_per_word"] == nil ? 100 : try section.count("max_input_chars_per_word")
    guard longestWord <= 1 << 16 else { throw section.unsupported("'max_input_chars_per_word' \(longestWord)") }
    unknownName = try section.string("unk_token", default: nil) ?? "[UNK]"
    unknown = vocabulary.id(unknownName)
  }

  /// Appends the tokens of a word to `result`.
  /// - Throws: `Fault(.badData)` for an unknown word where there is no token for it.
  func tokenize(_ word: UnsafeBufferPointer<UInt8>, with bench: Workbench, into result: inout [WordToken]) throws {
    try bench.tokens(of: word, into: &result) { try cut(word, into: &$0) }
  }

  private func cut(_ word: UnsafeBufferPointer<UInt8>, into result: inout [WordToken]) throws {
    let first = result.count
    let scalars = word.count { !UTF8Text.isContinuation($0) }
    var start = 0
    while scalars <= longestWord, start < word.count {
      guard let token = longest(word, from: start) else { break }
      result.append(token)
      start += Int(token.length)
    }
    guard start < word.count else { return }
    result.removeLast(result.count - first)
    guard let unknown else {
      throw Fault(
        .badData, "the tokenizer's token for unknown words, '\(unknownName)', is not in its vocabulary",
        "add it to the vocabulary")
    }
    result.append(WordToken(id: unknown, length: Int32(word.count)))
  }

  /// The longest token that the rest of the word begins with.
  private func longest(_ word: UnsafeBufferPointer<UInt8>, from start: Int) -> WordToken? {
    let mark = start > 0 ? prefix : []
    var end = min(word.count, start + max(longestToken - mark.count, 0))
    while end < word.count, end > start, UTF8Text.isContinuation(word[end]) { end -= 1 }
    while end > start {
      let part = UnsafeBufferPointer(rebasing: word[start..<end])
      if let id = mark.isEmpty ? vocabulary.id(part) : vocabulary.id(mark + part) {
        return WordToken(id: id, length: Int32(end - start))
      }
      end -= UTF8Text.scalar(word, before: end).length
    }
    return nil
  }
}
