import Ground

/// One step of what is done to the tokens of a whole text.
enum PostProcessor: Sendable {
  /// A part of a template.
  enum Part: Sendable {
    case text(type: Int)
    /// Of a pair.
    case secondText(type: Int)
    case tokens([Int], type: Int)
  }

  /// Puts tokens around the text's own, or around those of a pair of texts; only when special tokens are asked for.
  case template([Part], pair: [Part])
  /// Takes the spaces that tokens begin and end with out of their offsets.
  case trimOffsets(addPrefixSpace: Bool)

  /// Reads `post_processor` as a list of steps; a sequence is its steps, one after the other.
  static func read(_ section: Section) throws -> [PostProcessor] {
    switch try section.type {
    case "Sequence": return try section.sections("processors").flatMap(read)
    case "TemplateProcessing": return [try readTemplate(section)]
    case "ByteLevel":
      let addPrefixSpace = try section.bool("add_prefix_space")
      return try section.bool("trim_offsets") ? [.trimOffsets(addPrefixSpace: addPrefixSpace)] : []
    case "BertProcessing": return [try readAround(section, isRoBERTa: false)]
    case "RobertaProcessing":
      let addPrefixSpace = try section.bool("add_prefix_space")
      let trims = try section.bool("trim_offsets")
      return (trims ? [.trimOffsets(addPrefixSpace: addPrefixSpace)] : []) + [try readAround(section, isRoBERTa: true)]
    case let type: throw section.unsupported("the post-processor '\(type)'")
    }
  }

  private static func readTemplate(_ section: Section) throws -> PostProcessor {
    let single = try readParts("single", of: section)
    if single.contains(where: { if case .secondText = $0 { true } else { false } }) {
      throw Fault(.badConfiguration, "a template for one text names sequence 'B'", at: section.place, "use 'A'")
    }
    return .template(single, pair: section.json["pair"] == nil ? [] : try readParts("pair", of: section))
  }

  private static func readParts(_ key: String, of section: Section) throws -> [Part] {
    let specials = try section.section("special_tokens")
    return try section.sections(key).map { part -> Part in
      if part.json["Sequence"] != nil {
        let sequence = try part.section("Sequence")
        let (name, type) = (try sequence.string("id"), try typeID(sequence))
        switch name {
        case "A": return .text(type: type)
        case "B": return .secondText(type: type)
        default:
          throw Fault(.badConfiguration, "a template names sequence '\(name)'", at: part.place, "use 'A' or 'B'")
        }
      }
      let special = try part.section("SpecialToken")
      let name = try special.string("id")
      guard specials.json[name] != nil else {
        throw Fault(
          .badConfiguration, "the template names the token '\(name)', which 'special_tokens' lacks", at: part.place,
          "add it there")
      }
      let ids = try specials.section(name).array("ids")
      return .tokens(try ids.map { try tokenID($0, at: specials.place) }, type: try typeID(special))
    }
  }

  /// `[CLS] text [SEP]`, with a second text `[CLS] text [SEP] second [SEP]`, or, as RoBERTa has it, without types and with
  /// two separators; the tokens are given as `["[SEP]", 102]`.
  private static func readAround(_ section: Section, isRoBERTa: Bool) throws -> PostProcessor {
    func token(_ key: String) throws -> Int {
      let pair = try section.array(key)
      guard pair.count == 2 else {
        throw Fault(.badConfiguration, "'\(key)' must be a token and its id", at: section.place, "correct the file")
      }
      return try tokenID(pair[1], at: section.place)
    }
    let (start, end, second) = (try token("cls"), try token("sep"), isRoBERTa ? 0 : 1)
    let single: [Part] = [.tokens([start], type: 0), .text(type: 0), .tokens([end], type: 0)]
    return .template(
      single,
      pair: single + (isRoBERTa ? [.tokens([end], type: 0)] : [])
        + [.secondText(type: second), .tokens([end], type: second)])
  }

  private static func typeID(_ section: Section) throws -> Int {
    section.json["type_id"] == nil ? 0 : try section.count("type_id")
  }

  private static func tokenID(_ json: JSON, at place: String) throws -> Int {
    guard let id = json.integer, (0..<Vocabulary.idLimit).contains(id) else {
      throw Fault(.badConfiguration, "a token id that is no id", at: place, "correct the file")
    }
    return id
  }

  /// The tokens that a template puts in front of the text.
  var leadingTokens: [Int] {
    guard case .template(let parts, _) = self else { return [] }
    var leading: [Int] = []
    for part in parts {
      guard case .tokens(let ids, _) = part else { return leading }
      leading += ids
    }
    return leading
  }

  /// - Parameter blanks: for every token how many spaces it begins and ends with; kept in step with the tokens.
  func apply(
    to encoding: inout Tokenizer.Encoding, blanks: inout [Blanks], of text: UnsafeBufferPointer<UInt8>,
    addSpecialTokens: Bool
  ) {
    switch self {
    case .template(let parts, _):
      var processed = Tokenizer.Encoding(ids: [], offsets: [])
      processed.ids.reserveCapacity(encoding.ids.count + 8)
      processed.offsets.reserveCapacity(encoding.ids.count + 8)
      var processedBlanks: [Blanks] = []
      for part in parts {
        switch part {
        case .text, .secondText:
          processed.ids += encoding.ids
          processed.offsets += encoding.offsets
          processedBlanks += blanks
        case .tokens(let ids, _) where addSpecialTokens:
          processed.ids += ids
          processed.offsets += repeatElement(0..<0, count: ids.count)
          if !blanks.isEmpty { processedBlanks += repeatElement(Blanks(), count: ids.count) }
        case .tokens: break
        }
      }
      (encoding, blanks) = (processed, processedBlanks)
    case .trimOffsets(let addPrefixSpace):
      for index in blanks.indices {
        encoding.offsets[index] = trim(
          encoding.offsets[index], blanks[index], isFirst: index == 0, addPrefixSpace: addPrefixSpace, text)
      }
    }
  }

  private func trim(
    _ range: Range<Int>, _ blanks: Blanks, isFirst: Bool, addPrefixSpace: Bool, _ text: UnsafeBufferPointer<UInt8>
  ) -> Range<Int> {
    var (lower, upper) = (range.lowerBound, range.upperBound)
    var leading = blanks.leading
    // A single space in front of the text is the one that was put there.
    if leading == 1, addPrefixSpace, isFirst || lower == 0 { leading = 0 }
    while leading > 0, lower < upper {
      lower += UTF8Text.length(of: text[lower])
      leading -= 1
    }
    var (end, trailing) = (upper, blanks.trailing)
    while trailing > 0, end > 0 {
      end -= UTF8Text.scalar(text, before: end).length
      trailing -= 1
    }
    if trailing == 0 { upper = max(end, lower) }
    return lower..<upper
  }
}

/// How many spaces, or `Ġ`, a token begins and ends with.
struct Blanks {
  var leading: Int32 = 0
  var trailing: Int32 = 0

  init() {}

  init(_ token: UnsafeBufferPointer<UInt8>) {
    leading = Blanks.count(String(decoding: token, as: UTF8.self).unicodeScalars)
    trailing = Blanks.count(String(decoding: token, as: UTF8.self).unicodeScalars.reversed())
  }

  private static func count(_ scalars: some Sequence<Unicode.Scalar>) -> Int32 {
    var count: Int32 = 0
    for scalar in scalars {
      guard scalar == "\u{120}" || scalar.isSpace else { break }
      count += 1
    }
    return count
  }
}
