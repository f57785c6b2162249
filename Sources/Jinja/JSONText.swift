/// The options of the `tojson` filter, those of Python's `json.dumps`.
struct JSONText {
  var ensureASCII = false
  var indent: String?
  var itemSeparator = ", "
  var keySeparator = ": "
  var sortKeys = false

  /// Writes `value` as JSON; strings keep their marks, their quotes carry none.
  func write(_ value: Value, to builder: inout TextBuilder, _ interpreter: Interpreter, level: Int = 0) throws {
    try interpreter.charge(1)
    switch value {
    case .none: try builder.append("null")
    case .bool(let flag): try builder.append(flag ? "true" : "false")
    case .int(let value): try builder.append(String(value))
    case .float(let value): try builder.append(number(value))
    case .string(let text): try write(text, to: &builder)
    case .list(let items), .tuple(let items):
      try writeSeries(items.values, "[", "]", to: &builder, level: level) { item, builder in
        try write(item, to: &builder, interpreter, level: level + 1)
      }
    case .dict(let mapping):
      var entries = try mapping.entries.map { (try key($0.key), $0.value) }
      if sortKeys { entries.sort { $0.0.bytes.lexicographicallyPrecedes($1.0.bytes) } }
      try writeSeries(entries, "{", "}", to: &builder, level: level) { entry, builder in
        try write(entry.0, to: &builder)
        try builder.append(keySeparator)
        try write(entry.1, to: &builder, interpreter, level: level + 1)
      }
    default: throw TemplateProblem("Object of type \(value.typeName) is not JSON serializable")
    }
  }

  private func writeSeries<Item>(
    _ items: [Item], _ open: String, _ close: String, to builder: inout TextBuilder, level: Int,
    _ writeItem: (Item, inout TextBuilder) throws -> Void
  ) throws {
    try builder.append(open)
    for (index, item) in items.enumerated() {
      if index > 0 { try builder.append(itemSeparator) }
      if let indent { try builder.append("\n" + String(repeating: indent, count: level + 1)) }
      try writeItem(item, &builder)
    }
    if let indent, !items.isEmpty { try builder.append("\n" + String(repeating: indent, count: level)) }
    try builder.append(close)
  }

  private func number(_ value: Double) -> String {
    value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : pythonRepr(value)
  }

  private func key(_ key: Value) throws -> Text {
    switch key {
    case .string(let text): return text
    case .int(let value): return Text(String(value))
    case .float(let value): return Text(number(value))
    case .bool(let flag): return flag ? "true" : "false"
    case .none: return "null"
    default: throw TemplateProblem("keys must be str, int, float, bool or None, not \(key.typeName)")
    }
  }

  private func write(_ text: Text, to builder: inout TextBuilder) throws {
    try builder.append("\"")
    try builder.append(try text.mapScalars { scalar, _ in escaped(scalar) })
    try builder.append("\"")
  }

  private func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\"": return "\\\""
    case "\\": return "\\\\"
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    case "\u{08}": return "\\b"
    case "\u{0C}": return "\\f"
    case _ where scalar.value < 0x20 || ensureASCII && scalar.value > 0x7E:
      return String(scalar).utf16.map { unit in
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }.joined()
    default: return String(scalar)
    }
  }
}
