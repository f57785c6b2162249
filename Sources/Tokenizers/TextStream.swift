import Ground

/// Decodes tokens one by one: what ``append(_:)`` and ``finish()`` return is, all together, the text that
/// ``Tokenizer/decode(_:skipSpecialTokens:)`` gives for the same ids.
///
/// Text is handed out as soon as nothing that follows can change it; a character is never split.
public struct TextStream: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecialTokens: Bool
  private var states: [DecoderState]
  private var isFirst = true
  /// Bytes that are not a whole character yet.
  private var pending: [UInt8] = []
  /// The joined text that waits for its end, where the decoder has to see all of it.
  private var held: [UInt8] = []
  /// Scalars that the steps on the joined text may still take off its beginning.
  private var stripsLeft: [(mark: [UInt8], count: Int)] = []

  public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
    self.tokenizer = tokenizer
    self.skipSpecialTokens = skipSpecialTokens
    states = tokenizer.decoder.tokenSteps.map(DecoderState.init)
    if tokenizer.decoder.isProgressive {
      for case .strip(let content, let start, _) in tokenizer.decoder.textSteps {
        stripsLeft.append((Array(String(content).utf8), start))
      }
    }
  }

  /// The text that one more token makes certain; ids without a token add nothing.
  public mutating func append(_ id: Int) -> String {
    guard let token = tokenizer.decodable(id, skipSpecialTokens: skipSpecialTokens) else { return "" }
    return emit(run(token, from: 0), isLast: false)
  }

  /// The rest of the text; bytes that are not whole characters become U+FFFD.
  public mutating func finish() -> String {
    var tokens: [[UInt8]] = []
    for index in states.indices {
      var released: [[UInt8]] = []
      // A pattern that gives up on a token leaves out what it was to change.
      try? states[index].finish(into: &released)
      for token in released { tokens += run(token, from: index + 1) }
    }
    return emit(tokens, isLast: true)
  }

  /// Sends a token through the steps from `index` on.
  private mutating func run(_ token: [UInt8], from index: Int) -> [[UInt8]] {
    var tokens = [token]
    for index in states.indices.dropFirst(index) {
      var next: [[UInt8]] = []
      for token in tokens {
        do { try states[index].append(token, into: &next) } catch { next.append(token) }
      }
      tokens = next
    }
    return tokens
  }

  private mutating func emit(_ tokens: [[UInt8]], isLast: Bool) -> String {
    for token in tokens {
      switch tokenizer.decoder.joint {
      case .plain: pending += token
      case .spaces:
        if !isFirst { pending.append(UInt8(ascii: " ")) }
        pending += token
      case .bytes: pending += ByteAlphabet.decode(token) ?? token
      }
      isFirst = false
    }
    let whole = isLast ? pending.count : pending.wholeCharacters
    var text = Array(String(decoding: pending[..<whole], as: UTF8.self).utf8)
    pending.removeFirst(whole)
    if !tokenizer.decoder.isProgressive {
      held += text
      return isLast ? finishHeld() : ""
    }
    stripLeft(&text)
    return String(decoding: text, as: UTF8.self)
  }

  private mutating func finishHeld() -> String {
    var text = held
    held = []
    for step in tokenizer.decoder.textSteps {
      var state = DecoderState(step)
      var result: [[UInt8]] = []
      do {
        try state.append(text, into: &result)
        try state.finish(into: &result)
      } catch { continue }
      text = Array(result.joined())
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Takes the marks that the joined text begins with off, as long as the text has not really begun.
  private mutating func stripLeft(_ text: inout [UInt8]) {
    for index in stripsLeft.indices where !text.isEmpty {
      while stripsLeft[index].count > 0, text.starts(with: stripsLeft[index].mark) {
        text.removeFirst(stripsLeft[index].mark.count)
        stripsLeft[index].count -= 1
      }
      if !text.isEmpty { stripsLeft[index].count = 0 }
    }
  }
}

extension [UInt8] {
  /// How many bytes there are before a last character that more bytes could complete.
  fileprivate var wholeCharacters: Int {
    var start = count - 1
    while start >= 0, count - start < 4, UTF8Text.isContinuation(self[start]) { start -= 1 }
    guard start >= 0, self[start] >= 0xC2, self[start] < 0xF5 else { return count }
    let length = UTF8Text.length(of: self[start])
    guard count - start < length else { return count }
    // A second byte that cannot follow ends the character: what is there is wrong already.
    if count - start >= 2 {
      let allowed: ClosedRange<UInt8> =
        switch self[start] {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
      if !allowed.contains(self[start + 1]) { return count }
    }
    return start
  }
}
