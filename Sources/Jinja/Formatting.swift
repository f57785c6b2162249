import Foundation

/// `'…' % values` and `'…'.format(…)`.
extension Interpreter {
  /// printf-style formatting.
  func percentFormat(_ format: Text, _ values: Value) throws -> Text {
    if format.isMarkup { return try percentFormat(plain: format, values.escapedStrings()).markup }
    return try percentFormat(plain: format, values)
  }

  private func percentFormat(plain format: Text, _ values: Value) throws -> Text {
    var rest: ArraySlice<Value>
    if case .tuple(let items) = values { rest = items.values[...] } else { rest = [values] }
    let isMapping = if case .dict = values { true } else { false }
    var builder = TextBuilder()
    var scanner = Scanner(format)
    while let literal = scanner.upTo("%") {
      try builder.append(literal)
      guard scanner.skip("%") else { break }
      var value: Value?
      if scanner.skip("("), let name = scanner.upTo(")"), scanner.skip(")") {
        guard isMapping else { throw TemplateProblem("format requires a mapping") }
        value = try item(.string(name), of: values)
      }
      var field = Field()
      while let flag = scanner.skip(oneOf: "-+ 0#") {
        if flag == "-" { field.alignment = "<" }
        if flag == "0", field.alignment == nil { field.fill = "0" }
        if flag == "+" || flag == " " && field.sign == nil { field.sign = flag }
        if flag == "#" { field.isAlternate = true }
      }
      field.width = try scanner.integer()
      if scanner.skip(".") { field.precision = try scanner.integer() ?? 0 }
      _ = scanner.skip(oneOf: "hlL")
      guard let kind = scanner.next() else { throw TemplateProblem("incomplete format") }
      if kind == "%" {
        try builder.append("%")
        continue
      }
      if value == nil {
        if rest.isEmpty { throw TemplateProblem("not enough arguments for format string") }
        value = rest.removeFirst()
      }
      try builder.append(try percentField(field, kind, value ?? .none))
    }
    if !rest.isEmpty, !isMapping { throw TemplateProblem("not all arguments converted during string formatting") }
    return builder.text
  }

  private func percentField(_ field: Field, _ kind: Character, _ value: Value) throws -> Text {
    var field = field
    if field.alignment == nil { field.alignment = field.fill == "0" && kind != "s" && kind != "r" ? "=" : ">" }
    switch kind {
    case "s": return try field.formatted(try str(value))
    case "r", "a": return try field.formatted(Text(try repr(value)))
    case "c":
      if case .int(let code) = value, let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init) {
        return try field.formatted(Text(String(scalar)))
      }
      return try field.formatted(try value.string(for: "%c"))
    case "d", "i", "u":
      guard let number = value.number else {
        throw TemplateProblem("%\(kind) format: a real number is required, not \(value.typeName)")
      }
      guard let whole = Int(exactly: number.double.rounded(.towardZero)) else {
        throw TemplateProblem("%\(kind) format: the number is too large")
      }
      field.precision = nil
      if case .int(let exact) = number { return try field.formatted(.int(exact), "d") }
      return try field.formatted(.int(whole), "d")
    default:
      guard let number = value.number else {
        throw TemplateProblem("%\(kind) format: a number is required, not \(value.typeName)")
      }
      return try field.formatted(number, kind)
    }
  }

  /// `str.format`.
  func braceFormat(_ format: Text, _ arguments: Arguments) throws -> Text {
    var builder = TextBuilder()
    var scanner = Scanner(format)
    var automatic = 0
    while let literal = scanner.upTo("{", or: "}") {
      try builder.append(literal)
      if scanner.skip("}") {
        guard scanner.skip("}") else { throw TemplateProblem("Single '}' encountered in format string") }
        try builder.append("}")
        continue
      }
      guard scanner.skip("{") else { break }
      if scanner.skip("{") {
        try builder.append("{")
        continue
      }
      guard let content = scanner.upTo("}")?.string, scanner.skip("}") else {
        throw TemplateProblem("expected '}' before end of string")
      }
      if content.contains("{") { throw TemplateProblem("nested fields in format strings are not supported") }
      let halves = content.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let named = halves[0].split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
      var value = try field(String(named[0]), arguments, &automatic)
      if named.count > 1 { value = named[1] == "r" ? .string(Text(try repr(value))) : .string(try str(value)) }
      let field = try Field(specification: halves.count > 1 ? String(halves[1]) : "")
      try builder.append(try braceField(field, value))
    }
    return builder.text
  }

  private func braceField(_ field: Field, _ value: Value) throws -> Text {
    if let kind = field.kind, kind != "s" {
      guard let number = value.number else {
        throw TemplateProblem("Unknown format code '\(kind)' for object of type '\(value.typeName)'")
      }
      return try field.formatted(number, kind)
    }
    switch value {
    case .int(let number): return try field.formatted(.int(number), "d")
    case .float(let number) where field.precision != nil: return try field.formatted(.float(number), "g")
    case .float: return try field.formatted(try str(value), isNumber: true)
    default: return try field.formatted(try str(value))
    }
  }

  /// The value of a replacement field such as `0`, `name`, `0.key` or `name[3]`.
  private func field(_ path: String, _ arguments: Arguments, _ automatic: inout Int) throws -> Value {
    let name = path.prefix { $0 != "." && $0 != "[" }
    var value: Value
    if name.isEmpty || name.allSatisfy(\.isNumber) {
      let index = name.isEmpty ? automatic : Int(name) ?? .max
      if name.isEmpty { automatic += 1 }
      guard arguments.positional.indices.contains(index) else {
        throw TemplateProblem("Replacement index \(index) out of range for positional args tuple")
      }
      value = arguments.positional[index]
    } else {
      guard let found = arguments.named[String(name)] else { throw TemplateProblem("no argument '\(name)' to format") }
      value = found
    }
    var rest = path.dropFirst(name.count)
    while let first = rest.first {
      rest.removeFirst()
      let part = rest.prefix { $0 != "." && $0 != "[" && $0 != "]" }
      rest = rest.dropFirst(part.count)
      if first == "[" {
        value = try item(Int(part).map { .int($0) } ?? .string(Text(String(part))), of: value)
        if rest.first == "]" { rest.removeFirst() }
      } else {
        value = try attribute(String(part), of: value)
      }
    }
    return value
  }
}

extension Value {
  /// The same with its own strings, or those one level down, as HTML.
  fileprivate func escapedStrings() throws -> Value {
    func escaped(_ value: Value) throws -> Value { try value.text.map { .string(try $0.asMarkup()) } ?? value }
    switch self {
    case .tuple(let items): return .tuple(try Items(items.values.map(escaped)))
    case .dict(let mapping): return .dict(try Mapping(mapping.entries.mapValues(escaped)))
    default: return try escaped(self)
    }
  }
}

/// Reads a format string from left to right.
private struct Scanner {
  private let text: Text
  private var position = 0

  init(_ text: Text) { self.text = text }

  /// The text before the next of the marks, which is left to read; nil at the end.
  mutating func upTo(_ mark: Unicode.Scalar, or other: Unicode.Scalar? = nil) -> Text? {
    guard position < text.bytes.count else { return nil }
    var end = position
    while end < text.bytes.count, text.bytes[end] != UInt8(ascii: mark),
      other.map({ text.bytes[end] != UInt8(ascii: $0) }) ?? true
    {
      end += 1
    }
    defer { position = end }
    return text.slice(position..<end)
  }

  mutating func skip(_ mark: Unicode.Scalar) -> Bool {
    guard position < text.bytes.count, text.bytes[position] == UInt8(ascii: mark) else { return false }
    position += 1
    return true
  }

  mutating func skip(oneOf marks: String) -> Character? {
    guard position < text.bytes.count, text.bytes[position] < 0x80 else { return nil }
    let character = Character(Unicode.Scalar(text.bytes[position]))
    guard marks.contains(character) else { return nil }
    position += 1
    return character
  }

  mutating func next() -> Character? {
    guard position < text.bytes.count else { return nil }
    let (scalar, next) = text.scalar(at: position)
    position = next
    return Character(scalar)
  }

  mutating func integer() throws -> Int? {
    var digits = ""
    while let digit = skip(oneOf: "0123456789") { digits.append(digit) }
    if digits.count > 6 { throw TemplateProblem("too many digits in a format string") }
    return Int(digits)
  }
}

/// How one value is laid out: `[[fill]align][sign][#][0][width][,][.precision][type]`.
private struct Field {
  var fill: Character = " "
  var alignment: Character?
  var sign: Character?
  var isAlternate = false
  var width: Int?
  var grouping: Character?
  var precision: Int?
  var kind: Character?

  init() {}

  init(specification: String) throws {
    var rest = Array(specification)
    if rest.count > 1, "<>^=".contains(rest[1]) {
      fill = rest[0]
      alignment = rest[1]
      rest.removeFirst(2)
    } else if let first = rest.first, "<>^=".contains(first) {
      alignment = first
      rest.removeFirst()
    }
    func digits() throws -> Int? {
      let digits = String(rest.prefix { ("0"..."9").contains($0) })
      if digits.count > 6 { throw TemplateProblem("too many digits in a format string") }
      rest.removeFirst(digits.count)
      return Int(digits)
    }
    if let first = rest.first, "+- ".contains(first) { sign = rest.removeFirst() }
    if rest.first == "#" {
      isAlternate = true
      rest.removeFirst()
    }
    if rest.first == "0", alignment == nil { (fill, alignment) = ("0", "=") }
    width = try digits()
    if let first = rest.first, ",_".contains(first) { grouping = rest.removeFirst() }
    if rest.first == "." {
      rest.removeFirst()
      precision = try digits()
    }
    if let first = rest.first {
      kind = first
      rest.removeFirst()
    }
    if !rest.isEmpty { throw TemplateProblem("Invalid format specifier '\(specification)'") }
  }

  func formatted(_ text: Text, isNumber: Bool = false) throws -> Text {
    var text = text
    if let precision, !isNumber, text.scalarCount > precision { text = text.slice(0..<text.boundaries[precision]) }
    guard let width else { return text }
    let side: Text.Alignment =
      switch alignment ?? (isNumber ? ">" : "<") {
      case ">", "=": .right
      case "^": .center
      default: .left
      }
    if side == .center {
      let length = text.scalarCount
      let left = try text.padded(to: length + max(0, width - length) / 2, with: Text(String(fill)), .right)
      return try left.padded(to: width, with: Text(String(fill)), .left)
    }
    return try text.padded(to: width, with: Text(String(fill)), side)
  }

  func formatted(_ number: Number, _ kind: Character) throws -> Text {
    let isNegative: Bool
    var digits: String
    switch (number, kind) {
    case (.int(let value), "d"), (.int(let value), "x"), (.int(let value), "X"), (.int(let value), "o"),
      (.int(let value), "b"):
      isNegative = value < 0
      let radix = kind == "d" ? 10 : kind == "o" ? 8 : kind == "b" ? 2 : 16
      digits = String(value.magnitude, radix: radix, uppercase: kind == "X")
      if isAlternate, kind != "d" { digits = "0\(kind)" + digits }
    case (_, "f"), (_, "F"), (_, "e"), (_, "E"), (_, "g"), (_, "G"), (_, "%"):
      var value = number.double
      isNegative = value.sign == .minus && !value.isNaN
      value = value.magnitude * (kind == "%" ? 100 : 1)
      let precision = min(precision ?? 6, 400)
      let code = kind == "%" ? "f" : String(kind)
      digits = String(format: "%.\(precision)\(code)", value) + (kind == "%" ? "%" : "")
    default: throw TemplateProblem("Unknown format code '\(kind)'")
    }
    if let grouping { digits = grouped(digits, by: grouping) }
    let prefix = isNegative ? "-" : sign == "+" ? "+" : sign == " " ? " " : ""
    guard alignment == "=", let width else { return try formatted(Text(prefix + digits), isNumber: true) }
    let padded = try Text(digits).padded(to: width - prefix.count, with: Text(String(fill)), .right)
    return Text(prefix + padded.string)
  }

  private func grouped(_ digits: String, by separator: Character) -> String {
    let whole = digits.prefix { $0.isNumber }
    var result = ""
    for (index, digit) in whole.enumerated() {
      if index > 0, (whole.count - index) % 3 == 0 { result.append(separator) }
      result.append(digit)
    }
    return result + digits.dropFirst(whole.count)
  }
}
