/// How far the text of a JSON value of a schema has come, byte by byte.
///
/// Behind `:` and `,` and in front of the whole one space may stand, and nowhere else: so a text ends.
struct JSONState: Hashable, Sendable {
  /// What is being written, the innermost last.
  private enum Frame: Hashable {
    /// A value is to begin.
    case value(node: Int, maySpace: Bool)
    /// Words `low..<high` of a node begin with the `count` bytes so far.
    case words(node: Int, low: Int, high: Int, count: Int)
    case text(node: Int, Character, count: Int)
    case number(node: Int, Digits, count: Int)
    case list(node: Int, Between, count: Int)
    case object(node: Int, Between, next: Int)
    /// Keys of properties, of which `count` bytes are there.
    case key(node: Int, candidates: [Int], count: Int)
    case colon(node: Int, property: Int)
  }
  /// Where in a text: between characters, behind a backslash, among the digits of \u, or within the bytes of a character.
  private enum Character: Hashable {
    case between
    case escape
    case hex(left: Int, isSurrogate: Bool)
    case bytes(left: Int, low: UInt8, high: UInt8)
  }
  private enum Digits: Hashable { case minus, zero, whole, point, fraction, e, sign, exponent }
  /// Where in a list or object: behind the bracket, behind a value, behind a comma.
  private enum Between: Hashable { case opened, filled, comma }

  private var frames: [Frame]
  private static let mostFrames = 200
  private static let mostDigits = (whole: 15, fraction: 15, exponent: 2)

  init(_ schema: AnswerSchema) { frames = [.value(node: schema.root, maySpace: true)] }

  /// Whether the value is whole and nothing may follow.
  var isComplete: Bool { frames.isEmpty }

  /// Whether the value is whole, though more may follow: a number, or a word that begins another.
  func canEnd(_ schema: AnswerSchema) -> Bool {
    guard frames.count <= 1, let frame = frames.last else { return frames.isEmpty }
    return JSONState.isWhole(frame, schema)
  }

  /// The same state for masks, where texts that have much room left are alike.
  /// - Parameter room: the most characters that one token has.
  func generalised(_ schema: AnswerSchema, room: Int) -> JSONState {
    guard case .text(let node, let character, let count)? = frames.last,
      case .text(let least, let most)? = schema.nodes[node]
    else { return self }
    var state = self
    let isLong = count >= least
    if isLong, most.map({ $0 - count > room }) ?? true {
      state.frames[frames.count - 1] = .text(node: node, character, count: least)
    }
    return state
  }

  /// Goes on behind a byte.
  /// - Returns: whether it may stand there; the state is of no use where not.
  mutating func step(_ byte: UInt8, _ schema: AnswerSchema) -> Bool {
    guard let frame = frames.popLast(), frames.count < Self.mostFrames else { return false }
    switch frame {
    case .value(let node, let maySpace):
      if maySpace, byte == UInt8(ascii: " ") {
        frames.append(.value(node: node, maySpace: false))
        return true
      }
      return begin(node, byte, schema)
    case .words(let node, let low, let high, let count):
      guard case .words(let words)? = schema.nodes[node] else { return false }
      return stepWords(node, words, low..<high, count, byte, schema)
    case .text(let node, let character, let count): return stepText(node, character, count, byte, schema)
    case .number(let node, let digits, let count): return stepNumber(node, digits, count, byte, schema)
    case .list(let node, let between, let count): return stepList(node, between, count, byte, schema)
    case .object(let node, let between, let next): return stepObject(node, between, next, byte, schema)
    case .key(let node, let candidates, let count): return stepKey(node, candidates, count, byte, schema)
    case .colon(let node, let property):
      guard byte == UInt8(ascii: ":"), case .object(let properties)? = schema.nodes[node] else { return false }
      frames.append(.object(node: node, .filled, next: property + 1))
      frames.append(.value(node: properties[property].value, maySpace: true))
      return true
    }
  }

  /// The first byte of a value.
  private mutating func begin(_ index: Int, _ byte: UInt8, _ schema: AnswerSchema) -> Bool {
    guard let node = schema.choose(index, byte) else { return false }
    switch schema.nodes[node] {
    case .words(let words)?: return stepWords(node, words, words.indices, 0, byte, schema)
    case .text?: frames.append(.text(node: node, .between, count: 0))
    case .number?:
      frames.append(
        .number(node: node, byte == UInt8(ascii: "-") ? .minus : byte == UInt8(ascii: "0") ? .zero : .whole, count: 1))
    case .list?: frames.append(.list(node: node, .opened, count: 0))
    case .object?: frames.append(.object(node: node, .opened, next: 0))
    case .either?, nil: return false
    }
    return true
  }

  /// Ends the innermost value, whose frame is gone already, and gives the byte to what is around it.
  private mutating func end(before byte: UInt8, _ schema: AnswerSchema) -> Bool {
    !frames.isEmpty && step(byte, schema)
  }

  private static func isWhole(_ frame: Frame, _ schema: AnswerSchema) -> Bool {
    switch frame {
    case .number(_, let digits, _): [.zero, .whole, .fraction, .exponent].contains(digits)
    case .words(let node, let low, _, let count):
      if case .words(let words)? = schema.nodes[node] { words[low].count == count } else { false }
    default: false
    }
  }

  private mutating func stepWords(
    _ node: Int, _ words: [[UInt8]], _ range: Range<Int>, _ count: Int, _ byte: UInt8, _ schema: AnswerSchema
  ) -> Bool {
    let kept = range.filter { words[$0].count > count && words[$0][count] == byte }
    guard let low = kept.first, let last = kept.last else {
      return count > 0 && words[range.lowerBound].count == count && end(before: byte, schema)
    }
    if low != last || words[low].count > count + 1 {
      frames.append(.words(node: node, low: low, high: last + 1, count: count + 1))
    }
    return true
  }

  private mutating func stepText(
    _ node: Int, _ character: Character, _ count: Int, _ byte: UInt8, _ schema: AnswerSchema
  ) -> Bool {
    guard case .text(let least, let most)? = schema.nodes[node] else { return false }
    func goOn(_ next: Character, _ state: inout JSONState) -> Bool {
      // Where no bound is left to keep, characters need not be counted.
      let counted = next == .between ? (most == nil ? min(count + 1, least) : count + 1) : count
      state.frames.append(.text(node: node, next, count: counted))
      return true
    }
    switch character {
    case .between:
      if byte == UInt8(ascii: "\"") { return count >= least }
      guard most.map({ count < $0 }) ?? true, byte >= 0x20 else { return false }
      switch byte {
      case UInt8(ascii: "\\"): return goOn(.escape, &self)
      case ..<0x80: return goOn(.between, &self)
      case 0xC2...0xDF: return goOn(.bytes(left: 1, low: 0x80, high: 0xBF), &self)
      case 0xE0: return goOn(.bytes(left: 2, low: 0xA0, high: 0xBF), &self)
      case 0xED: return goOn(.bytes(left: 2, low: 0x80, high: 0x9F), &self)
      case 0xE1...0xEF: return goOn(.bytes(left: 2, low: 0x80, high: 0xBF), &self)
      case 0xF0: return goOn(.bytes(left: 3, low: 0x90, high: 0xBF), &self)
      case 0xF1...0xF3: return goOn(.bytes(left: 3, low: 0x80, high: 0xBF), &self)
      case 0xF4: return goOn(.bytes(left: 3, low: 0x80, high: 0x8F), &self)
      default: return false
      }
    case .escape:
      if byte == UInt8(ascii: "u") { return goOn(.hex(left: 4, isSurrogate: false), &self) }
      return "\"\\/bfnrt".utf8.contains(byte) && goOn(.between, &self)
    case .hex(let left, let isSurrogate):
      guard let digit = Swift.Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return false }
      // Halves of characters beyond U+FFFF would have to come in pairs: such characters are written as they are.
      if left == 3, isSurrogate, digit >= 8 { return false }
      return left == 1
        ? goOn(.between, &self) : goOn(.hex(left: left - 1, isSurrogate: left == 4 && digit == 13), &self)
    case .bytes(let left, let low, let high):
      guard (low...high).contains(byte) else { return false }
      return left == 1 ? goOn(.between, &self) : goOn(.bytes(left: left - 1, low: 0x80, high: 0xBF), &self)
    }
  }

  private mutating func stepNumber(
    _ node: Int, _ digits: Digits, _ count: Int, _ byte: UInt8, _ schema: AnswerSchema
  ) -> Bool {
    guard case .number(let isInteger)? = schema.nodes[node] else { return false }
    let isDigit = (0x30...0x39).contains(byte)
    var next: (Digits, Int)?
    switch digits {
    case .minus where isDigit: next = (byte == 0x30 ? .zero : .whole, 1)
    case .whole where isDigit && count < Self.mostDigits.whole: next = (.whole, count + 1)
    case .zero where !isInteger && byte == UInt8(ascii: "."), .whole where !isInteger && byte == UInt8(ascii: "."):
      next = (.point, 0)
    case .point where isDigit: next = (.fraction, 1)
    case .fraction where isDigit && count < Self.mostDigits.fraction: next = (.fraction, count + 1)
    case .zero where !isInteger && (byte | 0x20) == UInt8(ascii: "e"),
      .whole where !isInteger && (byte | 0x20) == UInt8(ascii: "e"),
      .fraction where (byte | 0x20) == UInt8(ascii: "e"):
      next = (.e, 0)
    case .e where byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"): next = (.sign, 0)
    case .e where isDigit, .sign where isDigit: next = (.exponent, 1)
    case .exponent where isDigit && count < Self.mostDigits.exponent: next = (.exponent, count + 1)
    default: break
    }
    if let (digits, count) = next {
      frames.append(.number(node: node, digits, count: count))
      return true
    }
    return JSONState.isWhole(.number(node: node, digits, count: count), schema) && end(before: byte, schema)
  }

  private mutating func stepList(
    _ node: Int, _ between: Between, _ count: Int, _ byte: UInt8, _ schema: AnswerSchema
  ) -> Bool {
    guard case .list(let item, let least, let most)? = schema.nodes[node] else { return false }
    let hasRoom = most.map { count < $0 } ?? true
    // Items beyond the least need not be counted where there is no most.
    let after = most == nil ? min(count + 1, least) : count + 1
    if byte == UInt8(ascii: "]"), between != .comma { return count >= least }
    guard hasRoom else { return false }
    if between == .filled {
      guard byte == UInt8(ascii: ",") else { return false }
      frames.append(.list(node: node, .filled, count: after))
      frames.append(.value(node: item, maySpace: true))
      return true
    }
    frames.append(.list(node: node, .filled, count: after))
    return begin(item, byte, schema)
  }

  private mutating func stepObject(
    _ node: Int, _ between: Between, _ next: Int, _ byte: UInt8, _ schema: AnswerSchema
  ) -> Bool {
    guard case .object(let properties)? = schema.nodes[node] else { return false }
    if byte == UInt8(ascii: "}"), between != .comma { return !properties[next...].contains(where: \.isRequired) }
    guard next < properties.count else { return false }
    switch (between, byte) {
    case (.filled, UInt8(ascii: ",")): frames.append(.object(node: node, .comma, next: next))
    case (.comma, UInt8(ascii: " ")):
      frames.append(.key(node: node, candidates: candidates(properties, next), count: 0))
    case (.opened, _), (.comma, _): return stepKey(node, candidates(properties, next), 0, byte, schema)
    default: return false
    }
    return true
  }

  /// The properties that may come next: the first that is required, and the optional ones before it.
  private func candidates(_ properties: [AnswerSchema.Property], _ next: Int) -> [Int] {
    let end = properties[next...].firstIndex(where: \.isRequired) ?? properties.count - 1
    return Array(next...end)
  }

  private mutating func stepKey(
    _ node: Int, _ candidates: [Int], _ count: Int, _ byte: UInt8, _ schema: AnswerSchema
  ) -> Bool {
    guard case .object(let properties)? = schema.nodes[node] else { return false }
    let kept = candidates.filter { properties[$0].key[count] == byte }
    guard let first = kept.first else { return false }
    // A key ends with its quote, so no key is the beginning of another.
    if properties[first].key.count == count + 1 {
      frames.append(.colon(node: node, property: first))
    } else {
      frames.append(.key(node: node, candidates: kept, count: count + 1))
    }
    return true
  }
}
