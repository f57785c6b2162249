/// What stands behind `is`.
extension Interpreter {
  func test(_ name: String, _ value: Value, _ arguments: Arguments) throws -> Bool {
    guard let result = try plainTest(name, value) ?? relation(name, value, arguments) else {
      throw TemplateProblem("No test named '\(name)'")
    }
    return result
  }

  private func plainTest(_ name: String, _ value: Value) throws -> Bool? {
    switch name {
    case "defined": !value.isUndefined
    case "undefined": value.isUndefined
    case "none": value.isNone
    case "string": value.text != nil
    case "boolean": if case .bool = value { true } else { false }
    case "true": if case .bool(true) = value { true } else { false }
    case "false": if case .bool(false) = value { true } else { false }
    case "integer": if case .int = value { true } else { false }
    case "float": if case .float = value { true } else { false }
    case "number": value.number != nil
    case "mapping": if case .dict = value { true } else { false }
    case "sequence":
      switch value {
      case .string, .list, .tuple, .dict, .range, .undefined: true
      default: false
      }
    case "iterable":
      switch value {
      case .string, .list, .tuple, .dict, .range, .undefined, .view, .generator, .loop: true
      default: false
      }
    case "callable":
      switch value {
      case .function, .undefined, .loop: true
      default: false
      }
    case "odd", "even":
      try areEqual(try arithmetic(.modulo, value, .int(2)), .int(name == "odd" ? 1 : 0))
    case "lower": try str(value).isCase(upper: false)
    case "upper": try str(value).isCase(upper: true)
    case "escaped": value.text?.isMarkup ?? false
    case "filter": Interpreter.filterNames.contains(try value.string(for: "filter").string)
    default: nil
    }
  }

  private func relation(_ name: String, _ value: Value, _ arguments: Arguments) throws -> Bool? {
    let symbol = Interpreter.relations[name]
    guard symbol != nil || name == "divisibleby" || name == "sameas" else { return nil }
    var arguments = arguments
    guard let other = try arguments.take(name == "divisibleby" ? "num" : "other", by: name)[0] else {
      throw TemplateProblem("the test '\(name)' needs an argument")
    }
    if name == "sameas" { return value.isSame(as: other) }
    guard let symbol, let relation = Expression.Comparison.Relation(rawValue: symbol) else {
      return try areEqual(try arithmetic(.modulo, value, other), .int(0))
    }
    return try holds(relation, value, other)
  }

  private static let relations: [String: String] = [
    "==": "==", "eq": "==", "equalto": "==", "!=": "!=", "ne": "!=", ">": ">", "gt": ">", "greaterthan": ">",
    ">=": ">=", "ge": ">=", "<": "<", "lt": "<", "lessthan": "<", "<=": "<=", "le": "<=", "in": "in",
  ]
}
