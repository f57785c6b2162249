import Ground

extension Tokenizer {
  /// The tokens of one text or two with the special tokens around them, as a classifier reads them.
  public struct TypedEncoding: Equatable, Sendable {
    public var ids: [Int]
    /// For each token which text it belongs to, as the post-processor says: BERT's `token_type_ids`.
    public var types: [Int]
  }

  /// The tokens of a text, or of a pair of texts, cut to `maxLength` where there are more.
  ///
  /// Of a pair the longer text is cut first, from its end, as `longest_first` does; special tokens always stay.
  /// - Throws: `Fault(.badConfiguration)` for a pair where the tokenizer says nothing of pairs, `.badData` for a limit
  ///   that leaves the text no room.
  public func encode(_ text: String, pair: String? = nil, maxLength: Int?) throws -> TypedEncoding {
    let first = try encode(text, addSpecialTokens: false).ids
    let second = try pair.map { try encode($0, addSpecialTokens: false).ids }
    let template = try typedTemplate(isPair: second != nil)
    var counts = (first.count, second?.count ?? 0)
    if let maxLength {
      let added = template.reduce(0) { if case .tokens(let ids, _) = $1 { $0 + ids.count } else { $0 } }
      guard maxLength > added else {
        throw Fault(.badData, "the limit of \(maxLength) tokens leaves no room for the text", "raise data.max_length")
      }
      counts = Tokenizer.cut(counts, to: maxLength - added)
    }
    var encoding = TypedEncoding(ids: [], types: [])
    func add(_ ids: some Collection<Int>, _ type: Int) {
      encoding.ids += ids
      encoding.types += repeatElement(type, count: ids.count)
    }
    for part in template {
      switch part {
      case .text(let type): add(first.prefix(counts.0), type)
      case .secondText(let type): add((second ?? []).prefix(counts.1), type)
      case .tokens(let ids, let type): add(ids, type)
      }
    }
    return encoding
  }

  /// How many tokens of each text stay where `limit` may: the longer one gives until both are of one length.
  private static func cut(_ counts: (Int, Int), to limit: Int) -> (Int, Int) {
    guard counts.0 + counts.1 > limit else { return counts }
    var (short, long) = (min(counts.0, counts.1), max(counts.0, counts.1))
    long = max(short, limit - short)
    if short + long > limit { (short, long) = (limit / 2, limit / 2 + limit % 2) }
    return counts.0 > counts.1 ? (long, short) : (short, long)
  }

  private func typedTemplate(isPair: Bool) throws -> [PostProcessor.Part] {
    let templates = postProcessors.compactMap { step in
      if case .template(let single, let pair) = step { (single: single, pair: pair) } else { nil }
    }
    // Without a template texts stand side by side, each of a type of its own.
    if templates.isEmpty { return [.text(type: 0)] + (isPair ? [.secondText(type: 1)] : []) }
    let parts = isPair ? templates[0].pair : templates[0].single
    guard templates.count == 1, !parts.isEmpty else {
      throw Fault(
        .badConfiguration, "the tokenizer's post-processor says nothing of \(isPair ? "pairs of texts" : "types")",
        "use a tokenizer.json whose post-processor has a template for them")
    }
    return parts
  }
}
