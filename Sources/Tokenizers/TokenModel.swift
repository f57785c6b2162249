import Ground

/// What makes tokens of a word.
enum TokenModel: Sendable {
  case bytePairs(BytePairEncoding)
  case wordPieces(WordPiece)
  case unigram(Unigram)

  /// Reads the `model` of a `tokenizer.json`; without a type it is taken for byte pairs.
  init(_ section: Section, of file: TokenizerFile) throws {
    switch section.json["type"]?.string {
    case "WordPiece": self = .wordPieces(try WordPiece(section, file.forEachToken))
    case "Unigram": self = .unigram(try Unigram(section, of: file))
    default: self = .bytePairs(try BytePairEncoding(section, of: file))
    }
  }

  var vocabulary: Vocabulary {
    switch self {
    case .bytePairs(let model): model.vocabulary
    case .wordPieces(let model): model.vocabulary
    case .unigram(let model): model.vocabulary
    }
  }

  /// How many tokens the file lists: one of a Unigram model that stands twice in it counts twice.
  var listedCount: Int {
    if case .unigram(let model) = self { model.vocabulary.idEnd } else { vocabulary.count }
  }

  /// Whether words can be given as plain bytes instead of in the byte alphabet.
  var takesPlainBytes: Bool {
    if case .bytePairs(let model) = self { model.byteSymbols != nil } else { false }
  }

  /// Appends the tokens of a word to `result`.
  @inline(__always)
  func tokenize(
    _ word: UnsafeBufferPointer<UInt8>, plainBytes: Bool, with bench: Workbench, into result: inout [WordToken]
  ) throws {
    switch self {
    case .bytePairs(let model): try model.tokenize(word, plainBytes: plainBytes, with: bench, into: &result)
    case .wordPieces(let model): try model.tokenize(word, with: bench, into: &result)
    case .unigram(let model): try model.tokenize(word, with: bench, into: &result)
    }
  }
}
