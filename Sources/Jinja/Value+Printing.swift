/// What Python's `str` and `repr` give.
extension Interpreter {
  /// `str(value)`; a string is itself, with its marks.
  func str(_ value: Value) throws -> Text {
    switch value {
    case .string(let text): return text
    case .undefined: return ""
    default:
      var builder = TextBuilder()
      try writeRepr(value, to: &builder, depth: 0)
      return builder.text
    }
  }

  /// `repr(value)`; marks are lost.
  func repr(_ value: Value) throws -> String {
    var builder = TextBuilder()
    try writeRepr(value, to: &builder, depth: 0)
    return builder.text.string
  }

  private func writeRepr(_ value: Value, to builder: inout TextBuilder, depth: Int) throws {
    try charge(1)
    if depth > Extent.deepest { throw TemplateProblem("it prints a value that is nested too deep") }
    switch value {
    case .undefined: try builder.append("Undefined")
    case .none: try builder.append("None")
    case .bool(let flag): try builder.append(flag ? "True" : "False")
    case .int(let value): try builder.append(String(value))
    case .float(let value): try builder.append(pythonRepr(value))
    case .string(let text): try builder.append(pythonRepr(text))
    case .list(let items): try writeSeries(items.values, "[", "]", to: &builder, depth)
    case .tuple(let items):
      try writeSeries(items.values, "(", items.values.count == 1 ? ",)" : ")", to: &builder, depth)
    case .dict(let mapping): try writeEntries(mapping.entries.map { ($0.key, $0.value) }, to: &builder, depth)
    case .view(let view):
      try writeSeries(view.items.values, "dict_\(view.kind.rawValue)([", "])", to: &builder, depth)
    case .range(let span):
      try builder.append("range(\(span.start), \(span.stop)" + (span.step == 1 ? ")" : ", \(span.step))"))
    case .namespace(let namespace):
      try builder.append("<Namespace ")
      try writeEntries(namespace.entries.map { (.string($0.key), $0.value) }, to: &builder, depth)
      try builder.append(">")
    case .generator: try builder.append("<generator object>")
    case .function(let function): try builder.append("<function \(function.name)>")
    case .loop(let loop): try builder.append("<LoopContext \(loop.index0 + 1)/\(try loop.length(self))>")
    }
  }

  private func writeSeries(
    _ values: [Value], _ open: String, _ close: String, to builder: inout TextBuilder, _ depth: Int
  ) throws {
    try builder.append(open)
    for (index, value) in values.enumerated() {
      if index > 0 { try builder.append(", ") }
      try writeRepr(value, to: &builder, depth: depth + 1)
    }
    try builder.append(close)
  }

  private func writeEntries(_ entries: [(Value, Value)], to builder: inout TextBuilder, _ depth: Int) throws {
    try builder.append("{")
    for (index, entry) in entries.enumerated() {
      if index > 0 { try builder.append(", ") }
      try writeRepr(entry.0, to: &builder, depth: depth + 1)
      try builder.append(": ")
      try writeRepr(entry.1, to: &builder, depth: depth + 1)
    }
    try builder.append("}")
  }
}

/// `repr` of a float: the shortest digits that read back as the same number.
func pythonRepr(_ value: Double) -> String {
  if value.isNaN { return "nan" }
  if value.isInfinite { return value < 0 ? "-inf" : "inf" }
  let (digits, exponent) = shortestDigits(value.magnitude)
  let sign = value.sign == .minus ? "-" : ""
  if exponent < -4 || exponent >= 16 {
    let fraction = digits.dropFirst()
    let size = String(exponent.magnitude)
    return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction)
      + (exponent < 0 ? "e-" : "e+") + (size.count < 2 ? "0" + size : size)
  }
  if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
  if digits.count <= exponent + 1 {
    return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count) + ".0"
  }
  return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
}

/// The shortest decimal digits d₀d₁… and the exponent e with value = d₀.d₁… × 10ᵉ.
private func shortestDigits(_ value: Double) -> (digits: String, exponent: Int) {
  if value == 0 { return ("0", 0) }
  let parts = value.description.split(separator: "e")
  let mantissa = parts[0].split(separator: ".")
  let whole = String(mantissa[0])
  let all = whole + (mantissa.count > 1 ? String(mantissa[1]) : "")
  let leadingZeros = all.prefix { $0 == "0" }.count
  var digits = String(all.dropFirst(leadingZeros))
  while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
  let shift = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
  return (digits, whole.count - 1 - leadingZeros + shift)
}

/// `repr` of a string: quoted, with everything that is not printable escaped.
func pythonRepr(_ text: Text) -> String {
  let string = text.string
  let quote: Unicode.Scalar = string.utf8.contains(0x27) && !string.utf8.contains(0x22) ? "\"" : "'"
  var result = String(quote)
  for scalar in string.unicodeScalars {
    switch scalar {
    case quote, "\\": result += "\\" + String(scalar)
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case _ where scalar.isPythonPrintable: result.unicodeScalars.append(scalar)
    default:
      let digits = String(scalar.value, radix: 16)
      let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
      result += "\\" + letter + String(repeating: "0", count: width - digits.count) + digits
    }
  }
  return result + String(quote)
}
