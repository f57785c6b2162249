import OrderedCollections

extension Interpreter {
  func evaluate(_ expression: Expression) throws -> Value {
    try charge(1)
    switch expression.form {
    case .constant(let constant): return Value(constant)
    case .name(let name): return scope.lookUp(name) ?? .undefined(.variable(name))
    case .captured: return scope.lookUp(Interpreter.capturedName) ?? .none
    default: return try deeper { try compute(expression) }
    }
  }

  private func compute(_ expression: Expression) throws -> Value {
    line = expression.line
    switch expression.form {
    case .attribute(let operand, let name): return try attribute(name, of: try evaluate(operand))
    case .item(let operand, let index):
      let value = try evaluate(operand)
      return try item(try evaluate(index), of: value)
    case .not(let operand): return .bool(try !evaluate(operand).isTrue)
    case .and(let left, let right):
      let value = try evaluate(left)
      return value.isTrue ? try evaluate(right) : value
    case .or(let left, let right):
      let value = try evaluate(left)
      return value.isTrue ? value : try evaluate(right)
    case .comparison(let first, let others): return try compare(first, others)
    case .call(let callee, let list):
      let function = try evaluate(callee)
      return try call(function, try evaluate(list))
    case .filter(let name, let operand, let list):
      let value = try evaluate(operand)
      return try filter(name, value, try evaluate(list))
    case .test(let name, let operand, let list):
      let value = try evaluate(operand)
      return .bool(try test(name, value, try evaluate(list)))
    default: return try computeRest(expression)
    }
  }

  private func computeRest(_ expression: Expression) throws -> Value {
    switch expression.form {
    case .arithmetic(let operation, let left, let right):
      let a = try evaluate(left)
      return try arithmetic(operation, a, try evaluate(right))
    case .concatenation(let parts): return try concatenate(parts)
    case .conditional(let condition, let then, let otherwise):
      if try evaluate(condition).isTrue { return try evaluate(then) }
      return try otherwise.map { try evaluate($0) }
        ?? .undefined(.hint("the inline if-expression evaluated to false and no else section was defined"))
    case .slice(let operand, let from, let to, let step):
      return try slice(
        try evaluate(operand), try from.map { try evaluate($0) }, try to.map { try evaluate($0) },
        try step.map { try evaluate($0) })
    case .list(let parts): return .list(try Items(try parts.map { try evaluate($0) }))
    case .tuple(let parts): return .tuple(try Items(try parts.map { try evaluate($0) }))
    case .dictionary(let entries): return try dictionary(entries)
    case .negative(let operand): return try sign(try evaluate(operand), negative: true)
    case .positive(let operand): return try sign(try evaluate(operand), negative: false)
    default: return .none
    }
  }

  private func concatenate(_ parts: [Expression]) throws -> Value {
    var builder = TextBuilder()
    for part in parts { try builder.append(try str(try evaluate(part))) }
    try charge(builder.count >> 4)
    return .string(builder.text)
  }

  private func dictionary(_ entries: [Expression.Entry]) throws -> Value {
    var result = OrderedDictionary<Value, Value>()
    for entry in entries {
      let key = try evaluate(entry.key)
      guard key.isHashable else { throw TemplateProblem("unhashable type: '\(key.typeName)'") }
      try charge(for: key)
      result[key] = try evaluate(entry.value)
    }
    return .dict(try Mapping(result))
  }

  private func compare(_ first: Expression, _ others: [Expression.Comparison]) throws -> Value {
    var left = try evaluate(first)
    for other in others {
      let right = try evaluate(other.operand)
      if try !holds(other.relation, left, right) { return .bool(false) }
      left = right
    }
    return .bool(true)
  }

  func holds(_ relation: Expression.Comparison.Relation, _ a: Value, _ b: Value) throws -> Bool {
    switch relation {
    case .contained: return try contains(b, a)
    case .notContained: return try !contains(b, a)
    case .equal: return try areEqual(a, b)
    case .unequal: return try !areEqual(a, b)
    case .less: return try order(a, b, relation.rawValue).map { $0 < 0 } ?? false
    case .atMost: return try order(a, b, relation.rawValue).map { $0 <= 0 } ?? false
    case .greater: return try order(a, b, relation.rawValue).map { $0 > 0 } ?? false
    case .atLeast: return try order(a, b, relation.rawValue).map { $0 >= 0 } ?? false
    }
  }

  func areEqual(_ a: Value, _ b: Value) throws -> Bool {
    try charge(min(a.extent.weight, b.extent.weight))
    return a == b
  }

  /// The sign of a − b, nil when neither is larger nor both equal (NaN).
  func order(_ a: Value, _ b: Value, _ symbol: String = "<") throws -> Int? {
    try charge(1)
    switch (a, b) {
    case (.string(let x), .string(let y)):
      try charge(min(x.bytes.count, y.bytes.count) >> 4)
      return x == y ? 0 : x.bytes.lexicographicallyPrecedes(y.bytes) ? -1 : 1
    case (.list(let x), .list(let y)), (.tuple(let x), .tuple(let y)):
      for (first, second) in zip(x.values, y.values) where try !areEqual(first, second) {
        return try order(first, second, symbol)
      }
      return (x.values.count - y.values.count).signum()
    case (.undefined(let absence), _), (_, .undefined(let absence)): throw TemplateProblem(absence.message)
    default:
      guard let x = a.number, let y = b.number else {
        throw TemplateProblem(
          "'\(symbol)' not supported between instances of '\(a.typeName)' and '\(b.typeName)'")
      }
      return Number.order(x, y)
    }
  }
}

extension Value {
  fileprivate init(_ constant: Expression.Constant) {
    switch constant {
    case .none: self = .none
    case .bool(let flag): self = .bool(flag)
    case .int(let value): self = .int(value)
    case .float(let value): self = .float(value)
    case .string(let text): self = .string(text)
    }
  }
}
