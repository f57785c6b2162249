import OrderedCollections

/// The arguments of a call, evaluated.
struct Arguments {
  var positional: [Value] = []
  var named: OrderedDictionary<String, Value> = [:]

  init(_ positional: [Value] = []) { self.positional = positional }

  /// The arguments in the order of `names`, nil where none is given.
  /// - Throws: `TemplateProblem` for arguments that fit no name.
  mutating func take(_ names: String..., by function: String) throws -> [Value?] {
    if positional.count > names.count {
      throw TemplateProblem("\(function)() takes at most \(names.count) argument(s), not \(positional.count)")
    }
    var taken: [Value?] = positional
    for name in names.dropFirst(positional.count) { taken.append(named.removeValue(forKey: name)) }
    if let name = named.keys.first { throw TemplateProblem("\(function)() takes no keyword argument '\(name)'") }
    return taken
  }
}

extension Value {
  /// A dictionary of named arguments.
  init(named: OrderedDictionary<String, Value>) throws {
    let pairs = named.map { (Value.string($0.key), $0.value) }
    self = .dict(try Mapping(OrderedDictionary(uniqueKeysWithValues: pairs)))
  }

  /// The integer that an argument of `function` must be.
  func integer(for function: String) throws -> Int {
    guard case .int(let value)? = number else {
      throw TemplateProblem("\(function)() needs an integer, not '\(typeName)'")
    }
    return value
  }

  /// The string that an argument of `function` must be.
  func string(for function: String) throws -> Text {
    guard let text else { throw TemplateProblem("\(function)() needs a string, not '\(typeName)'") }
    return text
  }
}

extension Interpreter {
  func evaluate(_ list: ArgumentList) throws -> Arguments {
    var arguments = Arguments()
    for expression in list.positional { arguments.positional.append(try evaluate(expression)) }
    if let spread = list.spread { arguments.positional += try elements(of: try evaluate(spread)) }
    for (name, expression) in list.named { arguments.named[name] = try evaluate(expression) }
    if let spread = list.namedSpread {
      guard case .dict(let mapping) = try evaluate(spread) else {
        throw TemplateProblem("what follows ** in a call must be a dictionary")
      }
      for (key, value) in mapping.entries { arguments.named[try key.string(for: "call").string] = value }
    }
    return arguments
  }

  func call(_ callee: Value, _ arguments: Arguments) throws -> Value {
    try charge(1)
    switch callee {
    case .function(let function):
      let result = try function(self, arguments)
      try charge(result.cost)
      return result
    case .loop(let loop):
      guard let recurse = loop.recurse else {
        throw TemplateProblem("the loop must have the 'recursive' marker to be called recursively")
      }
      guard let iterable = arguments.positional.first, arguments.positional.count == 1 else {
        throw TemplateProblem("loop() takes one argument")
      }
      return .string(try recurse(self, iterable))
    case .undefined(let absence): throw TemplateProblem(absence.message)
    default: throw TemplateProblem("'\(callee.typeName)' object is not callable")
    }
  }
}
