import Foundation

/// Python's arithmetic operators.
extension Interpreter {
  func arithmetic(_ operation: Expression.Arithmetic, _ a: Value, _ b: Value) throws -> Value {
    switch (operation, a, b) {
    case (.modulo, .string(let format), _): return .string(try percentFormat(format, b))
    case (_, .undefined(let absence), _), (_, _, .undefined(let absence)): throw TemplateProblem(absence.message)
    case (.add, .string(let x), .string(let y)):
      let isMarkup = x.isMarkup || y.isMarkup
      var builder = TextBuilder()
      try builder.append(isMarkup ? x.asMarkup() : x)
      try builder.append(isMarkup ? y.asMarkup() : y)
      try charge(builder.count >> 4)
      return .string(isMarkup ? builder.text.markup : builder.text)
    case (.add, .list(let x), .list(let y)):
      try charge(x.values.count + y.values.count)
      return .list(try Items(x.values + y.values))
    case (.add, .tuple(let x), .tuple(let y)):
      try charge(x.values.count + y.values.count)
      return .tuple(try Items(x.values + y.values))
    case (.multiply, .string(let text), _), (.multiply, _, .string(let text)):
      return .string(try repeated(text, try count(a, b)))
    case (.multiply, .list(let items), _), (.multiply, _, .list(let items)):
      return .list(try repeated(items, try count(a, b)))
    case (.multiply, .tuple(let items), _), (.multiply, _, .tuple(let items)):
      return .tuple(try repeated(items, try count(a, b)))
    default:
      guard let x = a.number, let y = b.number else {
        throw TemplateProblem(
          "unsupported operand types for \(operation.rawValue): '\(a.typeName)' and '\(b.typeName)'")
      }
      if case .int(let i) = x, case .int(let j) = y, let value = try integers(operation, i, j) { return .int(value) }
      return .float(try floats(operation, x.double, y.double))
    }
  }

  func sign(_ value: Value, negative: Bool) throws -> Value {
    switch value.number {
    case .int(let number)?:
      guard number != .min || !negative else { throw Interpreter.tooLarge }
      return .int(negative ? -number : number)
    case .float(let number)?: return .float(negative ? -number : number)
    case nil:
      if case .undefined(let absence) = value { throw TemplateProblem(absence.message) }
      throw TemplateProblem("bad operand type for unary \(negative ? "-" : "+"): '\(value.typeName)'")
    }
  }

  private static var tooLarge: TemplateProblem { TemplateProblem("an integer gets longer than 64 bits") }

  /// The result where it is an integer, nil where Python gives a float.
  private func integers(_ operation: Expression.Arithmetic, _ a: Int, _ b: Int) throws -> Int? {
    let (value, overflow): (Int, Bool)
    switch operation {
    case .add: (value, overflow) = a.addingReportingOverflow(b)
    case .subtract: (value, overflow) = a.subtractingReportingOverflow(b)
    case .multiply: (value, overflow) = a.multipliedReportingOverflow(by: b)
    case .divide: return nil
    case .floorDivide, .modulo:
      if b == 0 { throw TemplateProblem("integer division or modulo by zero") }
      let (quotient, tooLarge) = a.dividedReportingOverflow(by: b)
      let remainder = tooLarge ? 0 : a % b
      let goesDown = remainder != 0 && (remainder < 0) != (b < 0)
      (value, overflow) =
        operation == .modulo
        ? (goesDown ? remainder + b : remainder, false) : (goesDown ? quotient - 1 : quotient, tooLarge)
    case .power:
      if b < 0 { return nil }
      (value, overflow) = power(a, b)
    }
    if overflow { throw Interpreter.tooLarge }
    return value
  }

  private func power(_ base: Int, _ exponent: Int) -> (Int, Bool) {
    var (result, factor, rest) = (1, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 {
        let (product, overflow) = result.multipliedReportingOverflow(by: factor)
        if overflow { return (0, true) }
        result = product
      }
      rest >>= 1
      if rest == 0 { break }
      let (square, overflow) = factor.multipliedReportingOverflow(by: factor)
      if overflow { return (0, true) }
      factor = square
    }
    return (result, false)
  }

  private func floats(_ operation: Expression.Arithmetic, _ a: Double, _ b: Double) throws -> Double {
    switch operation {
    case .add: return a + b
    case .subtract: return a - b
    case .multiply: return a * b
    case .divide, .floorDivide, .modulo:
      if b == 0 { throw TemplateProblem("division by zero") }
      if operation == .divide { return a / b }
      var remainder = fmod(a, b)
      var quotient = (a - remainder) / b
      if remainder != 0, (remainder < 0) != (b < 0) {
        remainder += b
        quotient -= 1
      }
      if operation == .modulo { return remainder == 0 ? copysign(0, b) : remainder }
      let floor = quotient.rounded(.down)
      return quotient == 0 ? copysign(0, a / b) : quotient - floor > 0.5 ? floor + 1 : floor
    case .power:
      if a == 0, b < 0 { throw TemplateProblem("0.0 cannot be raised to a negative power") }
      let result = pow(a, b)
      if result.isNaN, !a.isNaN, !b.isNaN { throw TemplateProblem("a power is no real number") }
      if result.isInfinite, a.isFinite, b.isFinite { throw TemplateProblem("a power is too large") }
      return result
    }
  }

  private func count(_ a: Value, _ b: Value) throws -> Int {
    for value in [a, b] {
      if case .int(let count)? = value.number { return max(count, 0) }
    }
    throw TemplateProblem("can't multiply sequence by non-int of type '\(b.typeName)'")
  }

  private func repeated(_ text: Text, _ count: Int) throws -> Text {
    if text.isEmpty { return text }
    if count > Text.longest / text.bytes.count { throw TemplateProblem("it makes a string of more than 16 MiB") }
    try charge(count + text.bytes.count * count / 16)
    var builder = TextBuilder()
    for _ in 0..<count { try builder.append(text) }
    return text.isMarkup ? builder.text.markup : builder.text
  }

  private func repeated(_ items: Items, _ count: Int) throws -> Items {
    if items.values.isEmpty { return items }
    if count > Extent.heaviest / items.values.count { throw TemplateProblem("it makes a list that is too long") }
    try charge(items.values.count * count)
    return try Items(Array((0..<count).lazy.map { _ in items.values }.joined()))
  }
}
