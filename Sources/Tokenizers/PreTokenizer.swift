import Ground

/// One step of cutting normalised text into the words that the model merges within.
enum PreTokenizer: Sendable {
  /// Cuts as GPT-2 does when `splitting` is there, then writes bytes in the byte alphabet when `writes` is set.
  case byteLevel(addPrefixSpace: Bool, splitting: Splitting?, writes: Bool)
  case split(Splitting)
  case metaspace(Metaspace)

  /// GPT-2's pattern of words.
  static let wordPattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Reads `pre_tokenizer` as a list of steps; a sequence is its steps, one after the other.
  static func read(_ section: Section) throws -> [PreTokenizer] {
    switch try section.type {
    case "Sequence": return try section.sections("pretokenizers").flatMap(read)
    case "ByteLevel":
      _ = try section.bool("trim_offsets")
      let cuts = try section.bool("use_regex", default: true)
      let words = Pattern.regex(try RegularExpression(wordPattern, at: section.place))
      return [
        .byteLevel(
          addPrefixSpace: try section.bool("add_prefix_space"),
          splitting: cuts ? Splitting(pattern: words, behavior: .isolated) : nil, writes: true)
      ]
    case "Split":
      let splitting = Splitting(
        pattern: try Pattern(section.section("pattern")), behavior: try behavior(section),
        invert: try section.bool("invert"))
      return [.split(splitting)]
    case "Metaspace": return [.metaspace(try Metaspace(section))]
    case "Whitespace": return [.split(Splitting(pattern: .words, behavior: .removed, invert: true))]
    case "WhitespaceSplit": return [.split(Splitting(pattern: .scalars(\.isSpace), behavior: .removed))]
    case "Digits":
      let alone = try section.bool("individual_digits")
      return [.split(Splitting(pattern: .scalars(\.isNumeral), behavior: alone ? .isolated : .contiguous))]
    case "Punctuation":
      let behavior = section.json["behavior"] == nil ? .isolated : try behavior(section)
      return [.split(Splitting(pattern: .scalars(\.isPunctuationMark), behavior: behavior))]
    case "BertPreTokenizer":
      return [
        .split(Splitting(pattern: .scalars(\.isSpace), behavior: .removed)),
        .split(Splitting(pattern: .scalars(\.isPunctuationMark), behavior: .isolated)),
      ]
    case let type: throw section.unsupported("the pre-tokenizer '\(type)'")
    }
  }

  private static func behavior(_ section: Section) throws -> Splitting.Behavior {
    let name = try section.string("behavior")
    guard let behavior = Splitting.Behavior(rawValue: name) else {
      throw section.unsupported("the split behavior '\(name)'")
    }
    return behavior
  }

  func apply(to text: inout TextPieces) throws {
    switch self {
    case .split(let splitting):
      try text.split { try splitting.cut($0, $1, into: &$2) }
    case .metaspace(let metaspace):
      try metaspace.apply(to: &text)
    case .byteLevel(let addPrefixSpace, let splitting, let writes):
      if addPrefixSpace { try prefixSpace(&text) }
      if let splitting { try text.split { try splitting.cut($0, $1, into: &$2) } }
      if writes { try PreTokenizer.writeBytes(&text) }
    }
  }

  private func prefixSpace(_ text: inout TextPieces) throws {
    let space = UInt8(ascii: " ")
    guard text.contains({ $0[$1.lowerBound] != space }) else { return }
    try text.rewrite { old, piece, draft in
      if old[piece.range.lowerBound] != space { draft.append([space], inPlaceOf: piece.range.lowerBound) }
      draft.keep(piece.range)
    }
  }

  /// Writes every byte in the byte alphabet.
  static func writeBytes(_ text: inout TextPieces) throws {
    try text.rewrite { old, piece, draft in
      for index in piece.range { draft.append(ByteAlphabet.encoded[Int(old[index])], inPlaceOf: index) }
    }
  }
}

/// Writes spaces as a visible mark, puts one in front, and cuts before each mark (SentencePiece).
struct Metaspace: Sendable {
  /// Which pieces get a mark in front.
  enum PrependScheme: String, Sendable { case first, never, always }

  let mark: [UInt8]
  let scheme: PrependScheme
  let splits: Bool

  init(_ section: Section) throws {
    mark = Array(String(try section.scalar("replacement")).utf8)
    splits = try section.bool("split", default: true)
    let name = try section.string("prepend_scheme", default: nil)
    let addsPrefix = try section.bool("add_prefix_space", default: true)
    guard let scheme = name.map(PrependScheme.init) ?? (addsPrefix ? .always : .never) else {
      throw section.unsupported("the prepend scheme '\(name ?? "")'")
    }
    guard addsPrefix || scheme == .never else {
      throw Fault(
        .badConfiguration, "'add_prefix_space' and 'prepend_scheme' contradict each other", at: section.place,
        "remove one of them")
    }
    self.scheme = scheme
  }

  func apply(to text: inout TextPieces) throws {
    let space = UInt8(ascii: " ")
    try text.rewrite { old, piece, draft in
      let range = piece.range
      let isMarked = old[range.lowerBound] == space || UTF8Text.has(mark, old, in: range)
      if !isMarked, scheme == .always || scheme == .first && piece.origin == 0 {
        draft.append(mark, inPlaceOf: range.lowerBound)
      }
      var start = range.lowerBound
      for index in range where old[index] == space {
        draft.keep(start..<index)
        draft.append(mark, inPlaceOf: index)
        start = index + 1
      }
      draft.keep(start..<range.upperBound)
    }
    if splits {
      let splitting = Splitting(pattern: .literal(mark), behavior: .mergedWithNext)
      try text.split { try splitting.cut($0, $1, into: &$2) }
    }
  }
}
