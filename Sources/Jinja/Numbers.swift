import Foundation

/// Conversions between numbers and strings, as Python makes them.
extension Interpreter {
  /// What `int(value)` gives, or the whole part of the number that a string shows; nil when it is none.
  func integer(_ value: Value, base: Int) throws -> Value? {
    switch value {
    case .undefined(let absence): throw TemplateProblem(absence.message)
    case .string(let text):
      let trimmed = text.stripped().string
      if let whole = pythonInt(trimmed, base: base) { return .int(whole) }
      return pythonFloat(trimmed).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .int($0) }
    default:
      switch value.number {
      case .int(let number)?: return .int(number)
      case .float(let number)?: return Int(exactly: number.rounded(.towardZero)).map { .int($0) }
      case nil: return nil
      }
    }
  }

  /// The `round` filter; halves go to the even neighbour, as in Python.
  func rounded(_ value: Value, _ taken: [Value?]) throws -> Value {
    let precision = try taken[0]?.integer(for: "round") ?? 0
    let method = taken[1]?.text?.string ?? "common"
    guard ["common", "ceil", "floor"].contains(method) else {
      throw TemplateProblem("method must be common, ceil or floor")
    }
    guard let number = value.number else {
      if case .undefined(let absence) = value { throw TemplateProblem(absence.message) }
      throw TemplateProblem("type \(value.typeName) doesn't define __round__ method")
    }
    guard abs(precision) <= 300 else { throw TemplateProblem("round() takes at most 300 digits") }
    if method == "common" {
      switch number {
      case .int(let whole) where precision >= 0: return .int(whole)
      case .int(let whole):
        return Int(exactly: roundedToPower(Double(whole), -precision)).map { .int($0) } ?? .int(whole)
      case .float(let real) where precision <= 0: return .float(roundedToPower(real, -precision))
      case .float(let real): return .float(Double(String(format: "%.\(precision)f", real)) ?? real)
      }
    }
    let power = pow(10.0, Double(precision))
    let scaled = number.double * power
    let whole = scaled.rounded(method == "ceil" ? .up : .down)
    if precision == 0, case .int(let exact) = number { return .float(Double(exact)) }
    return .float(whole / power)
  }

  private func roundedToPower(_ value: Double, _ exponent: Int) -> Double {
    if exponent == 0 { return value.rounded(.toNearestOrEven) }
    let power = pow(10.0, Double(exponent))
    return (value / power).rounded(.toNearestOrEven) * power
  }
}

/// What Python's `float` reads from a string.
func pythonFloat(_ string: String) -> Double? {
  let text = Text(string).stripped().string.lowercased()
  let unsigned = text.hasPrefix("-") || text.hasPrefix("+") ? String(text.dropFirst()) : text
  let sign = text.hasPrefix("-") ? -1.0 : 1.0
  if ["inf", "infinity"].contains(unsigned) { return sign * .infinity }
  if unsigned == "nan" { return .nan }
  guard let first = unsigned.utf8.first, (0x30...0x39).contains(first) || first == 0x2E else { return nil }
  guard unsigned.utf8.allSatisfy({ (0x30...0x39).contains($0) || [0x2E, 0x65, 0x2B, 0x2D, 0x5F].contains($0) }) else {
    return nil
  }
  guard let digits = withoutUnderscores(unsigned) else { return nil }
  return Double(digits).map { sign * $0 }
    ?? Double(digits.replacingOccurrences(of: ".e", with: "e")).map { sign * $0 }
    ?? (digits.hasSuffix(".") ? Double(digits.dropLast()).map { sign * $0 } : nil)
}

/// What Python's `int` reads from a string in a base; base 0 goes by the prefix.
func pythonInt(_ string: String, base: Int) -> Int? {
  guard base == 0 || (2...36).contains(base) else { return nil }
  var text = string.lowercased()
  let isNegative = text.hasPrefix("-")
  if isNegative || text.hasPrefix("+") { text.removeFirst() }
  var radix = base == 0 ? 10 : base
  for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)] where text.hasPrefix(prefix) && (base == value || base == 0)
  {
    text.removeFirst(2)
    if text.hasPrefix("_") { text.removeFirst() }
    radix = value
  }
  guard let first = text.utf8.first, first != 0x2B, first != 0x2D, let digits = withoutUnderscores(text) else {
    return nil
  }
  return Int((isNegative ? "-" : "") + digits, radix: radix)
}

/// The text without the single underscores that stand between its digits, nil when others stand in it.
private func withoutUnderscores(_ text: String) -> String? {
  if text.hasPrefix("_") || text.hasSuffix("_") || text.contains("__") { return nil }
  return text.filter { $0 != "_" }
}
