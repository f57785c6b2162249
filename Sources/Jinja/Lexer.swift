/// Cuts a template into tokens as Jinja does with `trim_blocks` and `lstrip_blocks` set and
/// `keep_trailing_newline` unset.
struct Lexer {
  private let source: Text
  private var position = 0
  private var line = 1
  private var tokens: [Token] = []

  init(_ source: String) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(source.utf8.count)
    var afterReturn = false
    for byte in source.utf8 {
      if byte == 0x0A, afterReturn {
        afterReturn = false
        continue
      }
      afterReturn = byte == 0x0D
      bytes.append(afterReturn ? 0x0A : byte)
    }
    if bytes.last == 0x0A { bytes.removeLast() }
    self.source = Text(bytes: bytes)
  }

  static func tokens(of source: String) throws -> [Token] {
    var lexer = Lexer(source)
    while try lexer.root() {}
    lexer.emit(.end)
    return lexer.tokens
  }
}

// MARK: Text between tags

extension Lexer {
  private enum Sign { case none, minus, plus }

  /// Reads text up to the next tag and the whole tag; false at the end.
  private mutating func root() throws -> Bool {
    guard position < bytes.count else { return false }
    guard let tag = nextTag() else {
      emitData(source.slice(position..<bytes.count))
      advance(to: bytes.count)
      return false
    }
    let sign = sign(at: tag + 2)
    let body = tag + 2 + (sign == .none ? 0 : 1)
    let raw = bytes[tag + 1] == percent ? endOfRawBegin(body) : nil
    let isVariable = bytes[tag + 1] == openBrace
    takeData(upTo: tag, sign: sign, mayStripLine: !isVariable)
    if let raw {
      advance(to: raw)
      try readRaw()
    } else if bytes[tag + 1] == hash {
      advance(to: body)
      try readComment()
    } else {
      emit(isVariable ? .variableBegin : .blockBegin)
      advance(to: body)
      try readTag(isVariable: isVariable)
    }
    return true
  }

  private func nextTag() -> Int? {
    var at = position
    while at + 1 < bytes.count {
      if bytes[at] == openBrace, [openBrace, percent, hash].contains(bytes[at + 1]) { return at }
      at += 1
    }
    return nil
  }

  private func sign(at offset: Int) -> Sign {
    guard offset < bytes.count else { return .none }
    return bytes[offset] == minus ? .minus : bytes[offset] == plus ? .plus : .none
  }

  /// Emits the text before a tag, without the white space that the tag takes away.
  private mutating func takeData(upTo end: Int, sign: Sign, mayStripLine: Bool) {
    var text = source.slice(position..<end)
    if sign == .minus {
      text = text.stripped(left: false)
    } else if sign == .none, mayStripLine {
      let lineStart = text.bytes.lastIndex(of: newline).map { $0 + 1 } ?? 0
      let standsAtLineStart = lineStart > 0 || position == 0 || bytes[position - 1] == newline
      if standsAtLineStart, text.slice(lineStart..<text.bytes.count).stripped().isEmpty {
        text = text.slice(0..<lineStart)
      }
    }
    emitData(text)
    advance(to: end)
  }

  private mutating func emitData(_ text: Text) {
    if !text.isEmpty { emit(.data(text)) }
  }

  /// The end of `raw %}` or `raw -%}` (with the white space behind) that starts at `offset`.
  private func endOfRawBegin(_ offset: Int) -> Int? {
    let word = skipSpace(offset)
    guard source.hasPrefix("raw", from: word) else { return nil }
    let close = skipSpace(word + 3)
    if source.hasPrefix("-%}", from: close) { return skipSpace(close + 3) }
    return source.hasPrefix("%}", from: close) ? close + 2 : nil
  }

  private mutating func readRaw() throws {
    var search = position
    while let tag = source.find("{%", from: search) {
      let sign = sign(at: tag + 2)
      let word = skipSpace(tag + 2 + (sign == .none ? 0 : 1))
      if source.hasPrefix("endraw", from: word), let end = endOfTag(skipSpace(word + 6), close: "%}") {
        takeData(upTo: tag, sign: sign, mayStripLine: true)
        advance(to: end)
        return
      }
      search = tag + 1
    }
    throw SyntaxProblem(message: "a 'raw' tag is never closed", line: line)
  }

  private mutating func readComment() throws {
    var at = position
    while at + 1 < bytes.count {
      if let end = endOfTag(at, close: "#}") {
        advance(to: end)
        return
      }
      at += 1
    }
    throw SyntaxProblem(message: "a comment is never closed", line: line)
  }

  /// The end of a closing mark at `offset` with the white space that it takes away: a line end, or all after `-`.
  private func endOfTag(_ offset: Int, close: Text, trimsLine: Bool = true) -> Int? {
    guard offset < bytes.count else { return nil }
    if bytes[offset] == minus, source.hasPrefix(close, from: offset + 1) { return skipSpace(offset + 3) }
    if bytes[offset] == plus, trimsLine, source.hasPrefix(close, from: offset + 1) { return offset + 3 }
    guard source.hasPrefix(close, from: offset) else { return nil }
    return trimsLine && offset + 2 < bytes.count && bytes[offset + 2] == newline ? offset + 3 : offset + 2
  }
}

// MARK: Inside tags

extension Lexer {
  private mutating func readTag(isVariable: Bool) throws {
    var open: [Token.Symbol] = []
    while true {
      let close: Text = isVariable ? "}}" : "%}"
      if open.isEmpty, let end = endOfTag(position, close: close, trimsLine: !isVariable) {
        emit(isVariable ? .variableEnd : .blockEnd)
        advance(to: end)
        return
      }
      guard position < bytes.count else { return }  // the parser tells what is missing
      let (scalar, next) = source.scalar(at: position)
      if scalar.isPythonSpace {
        advance(to: next)
      } else if ("0"..."9").contains(scalar) {
        try readNumber()
      } else if scalar == "_" || scalar.properties.isXIDStart {
        readName()
      } else if scalar == "'" || scalar == "\"" {
        try readString()
      } else if let symbol = Token.Symbol.allCases.first(where: { source.hasPrefix(Text($0.rawValue), from: position) })
      {
        if let closing = symbol.closing {
          open.append(closing)
        } else if symbol.isClosing, open.popLast() != symbol {
          throw SyntaxProblem(message: "'\(symbol.rawValue)' closes nothing", line: line)
        }
        emit(.symbol(symbol))
        position += symbol.rawValue.utf8.count
      } else {
        throw SyntaxProblem(message: "unexpected character '\(scalar)'", line: line)
      }
    }
  }

  private mutating func readName() {
    var end = position
    while end < bytes.count {
      let (scalar, next) = source.scalar(at: end)
      guard scalar.properties.isXIDContinue else { break }
      end = next
    }
    emit(.name(source.slice(position..<end).string))
    position = end
  }

  private mutating func readNumber() throws {
    let start = position
    var end = endOfDigits(start)
    var isFloat = false
    if start == 0 || bytes[start - 1] != dot {
      if end < bytes.count, bytes[end] == dot, endOfDigits(end + 1) > end + 1 {
        end = endOfDigits(end + 1)
        isFloat = true
      }
      if end < bytes.count, bytes[end] | 0x20 == letterE {
        let digits = end + 1 + (sign(at: end + 1) == .none ? 0 : 1)
        if endOfDigits(digits) > digits {
          end = endOfDigits(digits)
          isFloat = true
        }
      }
    }
    if isFloat {
      emit(.float(Double(withoutUnderscores(start, end)) ?? 0))
    } else {
      end = try readInteger(start, end)
    }
    position = end
  }

  /// Emits the integer at `start` whose decimal digits end at `end`; returns its end.
  private mutating func readInteger(_ start: Int, _ end: Int) throws -> Int {
    var end = end
    var text = withoutUnderscores(start, end)
    var radix = 10
    if bytes[start] == zero {
      let prefixes: [UInt8: Int] = [0x62: 2, 0x6F: 8, 0x78: 16]
      if start + 1 < bytes.count, let base = prefixes[bytes[start + 1] | 0x20] {
        let last = endOfDigits(start + 2, radix: base)
        if last > start + 2 {
          (radix, text, end) = (base, withoutUnderscores(start + 2, last), last)
        }
      } else if let other = text.firstIndex(where: { $0 != "0" }) {
        throw SyntaxProblem(message: "a number begins with 0 before '\(text[other])'", line: line)
      }
    }
    guard let value = Int(text, radix: radix) else {
      throw SyntaxProblem(message: "the number \(text) has more than 64 bits", line: line)
    }
    emit(.integer(value))
    return end
  }

  /// The end of digits that may have single underscores between them.
  private func endOfDigits(_ start: Int, radix: Int = 10) -> Int {
    var end = start
    var at = start
    while at < bytes.count {
      if Character(Unicode.Scalar(bytes[at])).hexDigitValue.map({ $0 < radix }) == true {
        at += 1
        end = at
      } else if bytes[at] == underscore, at == end, at > start || radix != 10 {
        at += 1
      } else {
        break
      }
    }
    return end
  }

  private func withoutUnderscores(_ start: Int, _ end: Int) -> String {
    String(decoding: bytes[start..<end].filter { $0 != underscore }, as: UTF8.self)
  }

  private mutating func readString() throws {
    let quote = bytes[position]
    var end = position + 1
    while end < bytes.count, bytes[end] != quote { end += bytes[end] == backslash ? 2 : 1 }
    guard end < bytes.count else { throw SyntaxProblem(message: "a string is never closed", line: line) }
    let content = source.slice(position + 1..<end)
    do {
      emit(.string(try unescaped(content)))
    } catch let problem as TemplateProblem {
      throw SyntaxProblem(message: problem.message, line: line)
    }
    advance(to: end + 1)
  }
}

// MARK: Moving

extension Lexer {
  private var bytes: [UInt8] { source.bytes }

  private mutating func emit(_ kind: Token.Kind) {
    tokens.append(Token(kind: kind, line: line))
  }

  private mutating func advance(to end: Int) {
    for byte in bytes[position..<end] where byte == newline { line += 1 }
    position = end
  }

  private func skipSpace(_ offset: Int) -> Int {
    var at = offset
    while at < bytes.count {
      let (scalar, next) = source.scalar(at: at)
      guard scalar.isPythonSpace else { break }
      at = next
    }
    return at
  }
}

private let newline = UInt8(ascii: "\n")
private let openBrace = UInt8(ascii: "{")
private let percent = UInt8(ascii: "%")
private let hash = UInt8(ascii: "#")
private let minus = UInt8(ascii: "-")
private let plus = UInt8(ascii: "+")
private let dot = UInt8(ascii: ".")
private let zero = UInt8(ascii: "0")
private let letterE = UInt8(ascii: "e")
private let underscore = UInt8(ascii: "_")
private let backslash = UInt8(ascii: "\\")
