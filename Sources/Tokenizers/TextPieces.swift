import Ground

/// A text on its way to tokens: cut into pieces, and rewritten while it is known where every byte came from.
struct TextPieces {
  /// A part of the text, which is either an added token already or still to be tokenised.
  struct Piece {
    /// Where it stands in ``TextPieces/bytes``.
    var range: Range<Int>
    /// Where it began in the original text when it was last cut out.
    var origin: Int
    /// The added token that it was recognised as.
    var token: Int?
  }

  /// The scalars of the original text that a byte stands for, as a UTF-8 byte range.
  struct Origin {
    var start: Int32
    var end: Int32
  }

  /// The text as it is now, UTF-8.
  private(set) var bytes: [UInt8]
  /// For every byte what it stands for; nil while the text is the original one.
  private(set) var origins: [Origin]?
  private(set) var pieces: [Piece]
  /// Bytes that normalisers may make of the text: a hostile file must not make it grow without end.
  private let limit: Int

  init(_ text: [UInt8]) {
    bytes = text
    limit = min(max(text.count * 64, 1 << 20), Int(Int32.max) - 1)
    pieces = text.isEmpty ? [] : [Piece(range: 0..<text.count, origin: 0)]
  }

  /// The range of the original text that `range` of the text as it is now stands for.
  func original(of range: Range<Int>) -> Range<Int> {
    let start = origin(at: range.lowerBound).start
    return Int(start)..<Int(max(start, origin(at: range.upperBound - 1).end))
  }

  private func origin(at index: Int) -> Origin {
    if let origins { return origins[index] }
    return bytes.withUnsafeBufferPointer { text in
      var start = index
      while UTF8Text.isContinuation(text[start]) { start -= 1 }
      return Origin(start: Int32(start), end: Int32(start + UTF8Text.length(of: text[start])))
    }
  }

  private func originOfEveryByte() -> [Origin] {
    if let origins { return origins }
    var all: [Origin] = []
    all.reserveCapacity(bytes.count)
    bytes.withUnsafeBufferPointer { text in
      var start = 0
      while start < text.count {
        let end = start + UTF8Text.length(of: text[start])
        for _ in start..<end { all.append(Origin(start: Int32(start), end: Int32(end))) }
        start = end
      }
    }
    return all
  }
}

// MARK: Cutting

extension TextPieces {
  /// Cuts every piece that is not a token yet; `cut` is called with the text and the piece's range and
  /// appends the parts, in order. Empty parts are dropped.
  mutating func split(_ cut: (UnsafeBufferPointer<UInt8>, Range<Int>, inout [Range<Int>]) throws -> Void) rethrows {
    var parts: [Range<Int>] = []
    try splitIntoTokens { text, piece, result in
      parts.removeAll(keepingCapacity: true)
      try cut(text, piece.range, &parts)
      for part in parts { result.append((part, nil)) }
    }
  }

  /// As ``split(_:)``, for parts of which some are added tokens.
  mutating func splitIntoTokens(
    _ cut: (UnsafeBufferPointer<UInt8>, Piece, inout [(range: Range<Int>, token: Int?)]) throws -> Void
  ) rethrows {
    var cutPieces: [Piece] = []
    cutPieces.reserveCapacity(max(pieces.count, bytes.count / 4))
    var parts: [(range: Range<Int>, token: Int?)] = []
    try bytes.withUnsafeBufferPointer { text in
      for piece in pieces {
        if piece.token != nil {
          cutPieces.append(piece)
          continue
        }
        parts.removeAll(keepingCapacity: true)
        try cut(text, piece, &parts)
        for part in parts where !part.range.isEmpty {
          let origin = origins.map { Int($0[part.range.lowerBound].start) } ?? part.range.lowerBound
          cutPieces.append(Piece(range: part.range, origin: origin, token: part.token))
        }
      }
    }
    pieces = cutPieces
  }
}

// MARK: Rewriting

extension TextPieces {
  /// The text that is being written from another one.
  struct Draft {
    fileprivate(set) var bytes: [UInt8] = []
    fileprivate var origins: [Origin] = []
    fileprivate let oldBytes: [UInt8]
    fileprivate let oldOrigins: [Origin]
    fileprivate let limit: Int
    /// Whether something was left out because the limit was reached.
    fileprivate var isOverfull = false

    private func hasRoom(for count: Int) -> Bool { bytes.count <= limit && count <= limit }

    /// Copies a range of the old text.
    mutating func keep(_ range: Range<Int>) {
      bytes.append(contentsOf: oldBytes[range])
      origins.append(contentsOf: oldOrigins[range])
    }

    /// Writes new text that stands for what the old byte at `index` stood for.
    mutating func append(_ text: some Collection<UInt8>, inPlaceOf index: Int) {
      guard hasRoom(for: text.count) else { return isOverfull = true }
      bytes.append(contentsOf: text)
      origins.append(contentsOf: repeatElement(oldOrigins[index], count: text.count))
    }

    /// Writes new text that stands for nothing at `position` of the original text.
    mutating func append(_ text: some Collection<UInt8>, at position: Int) {
      guard hasRoom(for: text.count) else { return isOverfull = true }
      bytes.append(contentsOf: text)
      let origin = Origin(start: Int32(position), end: Int32(position))
      origins.append(contentsOf: repeatElement(origin, count: text.count))
    }
  }

  /// Writes every piece that is not a token yet anew; `write` appends to the draft what becomes of the piece.
  /// - Throws: `Fault(.badData)` when the text grows to more than 64 times its size.
  mutating func rewrite(_ write: (UnsafeBufferPointer<UInt8>, Piece, inout Draft) throws -> Void) throws {
    var draft = Draft(oldBytes: bytes, oldOrigins: originOfEveryByte(), limit: limit)
    draft.bytes.reserveCapacity(bytes.count + bytes.count / 4)
    draft.origins.reserveCapacity(bytes.count + bytes.count / 4)
    var written: [Piece] = []
    written.reserveCapacity(pieces.count)
    try bytes.withUnsafeBufferPointer { text in
      for var piece in pieces {
        let start = draft.bytes.count
        if piece.token == nil {
          try write(text, piece, &draft)
        } else {
          draft.keep(piece.range)
        }
        piece.range = start..<draft.bytes.count
        written.append(piece)
      }
    }
    guard !draft.isOverfull else {
      throw Fault(
        .badData, "the normalizer makes more than \(limit) bytes of the text", "use a tokenizer that does not do so")
    }
    bytes = draft.bytes
    origins = draft.origins
    pieces = written
  }

  /// Whether any piece that is not a token yet meets the condition.
  func contains(_ condition: (UnsafeBufferPointer<UInt8>, Range<Int>) throws -> Bool) rethrows -> Bool {
    try bytes.withUnsafeBufferPointer { text in
      try pieces.contains { try $0.token == nil && condition(text, $0.range) }
    }
  }
}
