// MARK: Statements

extension Interpreter {
  func run(_ statements: [Statement]) throws -> Flow {
    for statement in statements {
      try charge(1)
      line = statement.line
      switch statement.form {
      case .text(let text): try output.append(text)
      case .output(let expression): try output.append(try str(try evaluate(expression)))
      case .leaveLoop: return .leaveLoop
      case .nextIteration: return .nextIteration
      default:
        let flow = try deeper { try runBlock(statement) }
        if flow != .onward { return flow }
      }
    }
    return .onward
  }

  private func runBlock(_ statement: Statement) throws -> Flow {
    switch statement.form {
    case .branch(let branches, let otherwise):
      for branch in branches {
        if try evaluate(branch.condition).isTrue { return try run(branch.body) }
      }
      return try run(otherwise)
    case .loop(let loop): try runLoop(loop, over: try evaluate(loop.iterable), depth: 0)
    case .assign(let target, let expression): try assign(try evaluate(expression), to: target)
    case .assignBlock(let target, let filter, let body): try runAssignBlock(target, filter, body)
    case .with(let values, let body): return try runWith(values, body)
    case .macro(let syntax): scope.variables[syntax.name] = .function(macro(syntax))
    case .call(let callee, let arguments, let block): try runCall(callee, arguments, block)
    case .filter(let filter, let body):
      let text = try captureInOwnScope(body)
      try output.append(try str(try evaluate(filter, captured: text)))
    case .generation(let body): try output.append(try captureInOwnScope(body).generated)
    default: break
    }
    return .onward
  }

  private func captureInOwnScope(_ body: [Statement]) throws -> Text {
    try capture { try within(Scope(parent: scope)) { _ = try run(body) } }
  }

  private func runAssignBlock(_ target: Target, _ filter: Expression?, _ body: [Statement]) throws {
    let text = try captureInOwnScope(body)
    try assign(try filter.map { try evaluate($0, captured: text) } ?? .string(text), to: target)
  }

  private func evaluate(_ filter: Expression, captured text: Text) throws -> Value {
    let inner = Scope(parent: scope)
    inner.variables[Interpreter.capturedName] = .string(text)
    return try within(inner) { try evaluate(filter) }
  }

  /// The name of what a block tag captured; no template can write it.
  static let capturedName = " captured"

  private func runWith(_ values: [(target: Target, value: Expression)], _ body: [Statement]) throws -> Flow {
    let results = try values.map { try evaluate($0.value) }
    return try within(Scope(parent: scope)) {
      for (value, result) in zip(values, results) { try assign(result, to: value.target) }
      return try run(body)
    }
  }

  private func runCall(_ callee: Expression, _ list: ArgumentList, _ block: MacroSyntax) throws {
    var arguments = try evaluate(list)
    arguments.named["caller"] = .function(macro(block))
    try output.append(try str(try call(try evaluate(callee), arguments)))
  }

  func assign(_ value: Value, to target: Target) throws {
    switch target {
    case .name(let name): scope.variables[name] = value
    case .attribute(let name, let attribute):
      guard case .namespace(let namespace)? = scope.lookUp(name) else {
        throw TemplateProblem("cannot assign attribute on non-namespace object")
      }
      try namespace.set(attribute, value)
    case .tuple(let targets):
      let values = try elements(of: value)
      guard values.count == targets.count else {
        throw TemplateProblem("cannot unpack \(values.count) values into \(targets.count) names")
      }
      for (target, value) in zip(targets, values) { try assign(value, to: target) }
    }
  }
}

extension Namespace {
  func set(_ name: String, _ value: Value) throws {
    if name.hasPrefix("_") {
      throw TemplateProblem("an attribute of a namespace must not begin with an underscore: '\(name)'")
    }
    entries[name] = value
  }
}

// MARK: Macros

extension Interpreter {
  /// A macro that sees the names around its definition.
  func macro(_ syntax: MacroSyntax) -> Function {
    let home = scope
    keep(home)
    return Function(syntax.name) { interpreter, arguments in
      try interpreter.deeper {
        try interpreter.within(Scope(parent: home)) { try interpreter.run(syntax, &arguments) }
      }
    }
  }

  private func run(_ syntax: MacroSyntax, _ arguments: inout Arguments) throws -> Value {
    let outerLine = line
    for (index, parameter) in syntax.parameters.enumerated() {
      if index < arguments.positional.count {
        scope.variables[parameter.name] = arguments.positional[index]
      } else if let value = arguments.named.removeValue(forKey: parameter.name) {
        scope.variables[parameter.name] = value
      } else if let standard = parameter.standard {
        scope.variables[parameter.name] = try evaluate(standard)
      } else {
        scope.variables[parameter.name] = .undefined(.hint("parameter '\(parameter.name)' was not provided"))
      }
    }
    if !syntax.parameters.contains(where: { $0.name == "caller" }) {
      scope.variables["caller"] =
        arguments.named.removeValue(forKey: "caller") ?? .undefined(.hint("No caller defined"))
    }
    let surplus = Array(arguments.positional.dropFirst(syntax.parameters.count))
    if syntax.takesVarargs {
      scope.variables["varargs"] = .tuple(try Items(surplus))
    } else if !surplus.isEmpty {
      throw TemplateProblem("macro '\(syntax.name)' takes not more than \(syntax.parameters.count) argument(s)")
    }
    if syntax.takesKwargs {
      scope.variables["kwargs"] = try Value(named: arguments.named)
    } else if let name = arguments.named.keys.first {
      throw TemplateProblem("macro '\(syntax.name)' takes no keyword argument '\(name)'")
    }
    let text = try capture { _ = try run(syntax.body) }
    line = outerLine
    return .string(text)
  }
}
