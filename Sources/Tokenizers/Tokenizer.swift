import Foundation
import Ground
import Synchronization

/// A tokenizer as Hugging Face's `tokenizer.json` describes it: text to token ids and back.
///
/// Text goes through these stages: added tokens are cut out, the rest is normalised, cut into words, and
/// each word is made into tokens; at last the post-processor puts special tokens around all.
/// Any number of threads may use one tokenizer.
public final class Tokenizer: Sendable {
  /// The tokens of a text.
  public struct Encoding: Equatable, Sendable {
    public var ids: [Int]
    /// For every token the range of UTF-8 bytes of the text that it stands for; empty for those that the
    /// post-processor adds.
    public var offsets: [Range<Int>]
  }

  let decoder: Decoder
  let model: TokenModel
  private let added: AddedTokens
  private let normalizers: [Normalizer]
  private let preTokenizers: [PreTokenizer]
  let postProcessors: [PostProcessor]
  /// Whether words go to the model as plain bytes instead of in the byte alphabet: the same tokens, sooner.
  private let givesPlainBytes: Bool
  private let trimsOffsets: Bool
  /// Memory that no call is using now.
  private let benches = Mutex<[Workbench]>([])

  /// Reads a `tokenizer.json`.
  ///
  /// Supported are the BPE, WordPiece and Unigram models with everything that goes with them. `truncation` and `padding` are left
  /// aside.
  /// - Throws: `Fault(.badConfiguration)` that names what is not supported, `.badData` for a damaged
  ///   vocabulary, `.missingInput` when there is no such file.
  public convenience init(contentsOf path: String) throws {
    let source = try TokenizerFile(contentsOf: path)
    let file = try Section(source.rest, at: path)
    if let version = try file.string("version", default: nil), version != "1.0" {
      throw file.unsupported("version '\(version)' of tokenizer.json")
    }
    let model = try TokenModel(Section(file.json["model"] ?? .null, at: "\(path): model"), of: source)
    try self.init(file, model: model)
  }

  /// - Parameter file: everything but the model, as `tokenizer.json` has it.
  init(_ file: Section, model: TokenModel) throws {
    self.model = model
    func steps<Step>(_ key: String, _ read: (Section) throws -> [Step]) throws -> [Step] {
      guard let json = file.json[key], !json.isNull else { return [] }
      return try read(Section(json, at: "\(file.place): \(key)"))
    }
    normalizers = try steps("normalizer", Normalizer.read)
    var preTokenizers = try steps("pre_tokenizer", PreTokenizer.read)
    postProcessors = try steps("post_processor", PostProcessor.read)
    decoder = try Decoder(steps("decoder") { [$0] }.first)

    if case .byteLevel(let addPrefixSpace, let splitting, _)? = preTokenizers.last, model.takesPlainBytes {
      preTokenizers.removeLast()
      preTokenizers.append(.byteLevel(addPrefixSpace: addPrefixSpace, splitting: splitting, writes: false))
      givesPlainBytes = true
    } else {
      givesPlainBytes = false
    }
    self.preTokenizers = preTokenizers
    trimsOffsets = postProcessors.contains { if case .trimOffsets = $0 { true } else { false } }

    let listed = file.json["added_tokens"] ?? .null
    let addedSections = listed.isNull ? [] : try file.sections("added_tokens")
    added = try AddedTokens(addedSections, model: model, normalizers: normalizers)
  }

  // MARK: Text to tokens

  /// The tokens of a text.
  ///
  /// - Parameter addSpecialTokens: whether the post-processor adds its tokens.
  /// - Throws: `Fault(.badData)` for a text of 2 GiB or more, or one that a pattern of the tokenizer gives up on.
  public func encode(_ text: String, addSpecialTokens: Bool = true) throws -> Encoding {
    let original = Array(text.utf8)
    guard original.count < Int(Int32.max) else {
      throw Fault(.badData, "a text of \(original.count) bytes", "cut it into texts of less than 2 GiB")
    }
    var pieces = TextPieces(original)
    added.cutPlain(&pieces)
    for normalizer in normalizers { try normalizer.apply(to: &pieces) }
    added.cutNormalized(&pieces)
    for preTokenizer in preTokenizers { try preTokenizer.apply(to: &pieces) }

    let bench = benches.withLock { $0.popLast() } ?? Workbench()
    defer { benches.withLock { $0.append(bench) } }
    var (encoding, blanks) = try tokenize(pieces, with: bench)
    original.withUnsafeBufferPointer { original in
      for step in postProcessors {
        step.apply(to: &encoding, blanks: &blanks, of: original, addSpecialTokens: addSpecialTokens)
      }
    }
    return encoding
  }

  /// The tokens of a text that a chat template has rendered: special tokens are added unless the text begins
  /// with the first of them already, so that BOS never stands twice.
  public func encode(rendered text: String) throws -> Encoding {
    try encode(text, addSpecialTokens: !beginsWithLeadingToken(text))
  }

  /// The ids that the post-processor puts in front of a text: BOS, or none.
  public var leadingTokens: [Int] {
    postProcessors.reduce([]) { $1.leadingTokens + $0 }
  }

  /// Whether `text` begins with the token that the post-processor puts in front.
  public func beginsWithLeadingToken(_ text: String) -> Bool {
    guard let first = leadingTokens.first, let token = token(of: first), !token.isEmpty else { return false }
    return text.utf8.starts(with: token.utf8)
  }

  private func tokenize(_ text: TextPieces, with bench: Workbench) throws -> (Encoding, [Blanks]) {
    var encoding = Encoding(ids: [], offsets: [])
    encoding.ids.reserveCapacity(text.pieces.count)
    encoding.offsets.reserveCapacity(text.pieces.count)
    var blanks: [Blanks] = []
    var tokens: [WordToken] = []
    try text.bytes.withUnsafeBufferPointer { bytes in
      for piece in text.pieces {
        let word = UnsafeBufferPointer(rebasing: bytes[piece.range])
        if let token = piece.token {
          encoding.ids.append(token)
          encoding.offsets.append(text.original(of: piece.range))
          if trimsOffsets { blanks.append(Blanks(word)) }
          continue
        }
        tokens.removeAll(keepingCapacity: true)
        try model.tokenize(word, plainBytes: givesPlainBytes, with: bench, into: &tokens)
        var start = piece.range.lowerBound
        for token in tokens {
          let end = start + max(Int(token.length), 0)
          start = min(start, start + Int(token.length))
          encoding.ids.append(Int(token.id))
          // Characters that were dropped, or have a prefix, can carry the count beyond the piece.
          let isInside = end <= piece.range.upperBound
          encoding.offsets.append(
            isInside ? text.original(of: start..<end) : start - piece.range.lowerBound..<end - piece.range.lowerBound)
          if trimsOffsets { blanks.append(model.vocabulary.withToken(Int(token.id), Blanks.init)) }
          start = end
        }
      }
    }
    return (encoding, blanks)
  }

  // MARK: Tokens to text

  /// The text that ids stand for; ids without a token are left out.
  ///
  /// - Parameter skipSpecialTokens: whether special tokens are left out.
  public func decode(_ ids: [Int], skipSpecialTokens: Bool = false) -> String {
    var stream = TextStream(self, skipSpecialTokens: skipSpecialTokens)
    var text = ""
    for id in ids { text += stream.append(id) }
    return text + stream.finish()
  }

  /// The UTF-8 that a token goes into the decoder as; nil when it is to be left out.
  func decodable(_ id: Int, skipSpecialTokens: Bool) -> [UInt8]? {
    if let token = added.tokens[id] {
      let content = added.normalizedContents[id] ?? token.content
      return skipSpecialTokens && added.specialContents.contains(content) ? nil : content
    }
    guard let token = model.vocabulary.token(id) else { return nil }
    return Array(token)
  }

  // MARK: Vocabulary

  /// The id of a token of the model or an added one.
  public func id(of token: String) -> Int? { added.ids[Array(token.utf8)] ?? model.vocabulary.id(token).map(Int.init) }

  /// The token with an id, as the vocabulary writes it.
  public func token(of id: Int) -> String? {
    (added.tokens[id]?.content[...] ?? model.vocabulary.token(id)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The highest id of all tokens, added ones too, + 1.
  public var vocabularySize: Int { max(model.vocabulary.idEnd, added.idEnd) }

  /// The tokens that are recognised in the text itself, with their ids.
  public var addedTokens: [String: Int] { names { _ in true } }

  /// Those of ``addedTokens`` that decoding can leave out.
  public var specialTokens: [String: Int] { names(where: \.isSpecial) }

  private func names(where belongs: (AddedToken) -> Bool) -> [String: Int] {
    let chosen = added.tokens.filter { belongs($0.value) }.sorted { $0.key < $1.key }
    return Dictionary(
      chosen.map { (String(decoding: $0.value.content, as: UTF8.self), $0.key) },
      uniquingKeysWith: { first, _ in first })
  }
}
