/// Reads tokens into statements, by Jinja's grammar.
struct Parser {
  private(set) var tokens: [Token]
  private(set) var position = 0
  private var nesting = 0
  /// All names read so far, so that a macro can tell which its body uses.
  var names: Set<String> = []
  private var openTags: [String] = []

  static let deepestNesting = 100
  static let deepestExpression = 150

  static func statements(of source: String) throws -> [Statement] {
    var parser = Parser(tokens: try Lexer.tokens(of: source))
    return try parser.body(until: [])
  }

  private init(tokens: [Token]) { self.tokens = tokens }
}

// MARK: The stream of tokens

extension Parser {
  var current: Token { tokens[position] }
  var line: Int { current.line }
  var following: Token { tokens[min(position + 1, tokens.count - 1)] }

  @discardableResult mutating func next() -> Token {
    let token = tokens[position]
    if position + 1 < tokens.count { position += 1 }
    return token
  }

  func at(_ symbol: Token.Symbol) -> Bool { current.kind == .symbol(symbol) }
  func at(name: String) -> Bool { current.kind == .name(name) }

  mutating func skip(_ symbol: Token.Symbol) -> Bool {
    if at(symbol) { next() } else { return false }
    return true
  }

  mutating func skip(name: String) -> Bool {
    if at(name: name) { next() } else { return false }
    return true
  }

  mutating func expect(_ symbol: Token.Symbol) throws {
    if !skip(symbol) { throw failure("expected '\(symbol.rawValue)' instead of \(current.description)") }
  }

  mutating func expect(name: String) throws {
    if !skip(name: name) { throw failure("expected '\(name)' instead of \(current.description)") }
  }

  mutating func expect(_ kind: Token.Kind) throws {
    guard current.kind == kind else {
      throw failure("expected \(Token(kind: kind, line: 0).description) instead of \(current.description)")
    }
    next()
  }

  mutating func expectName() throws -> String {
    guard case .name(let name) = current.kind else {
      throw failure("expected a name instead of \(current.description)")
    }
    next()
    return name
  }

  func failure(_ message: String, line: Int? = nil) -> SyntaxProblem {
    SyntaxProblem(message: message, line: line ?? self.line)
  }

  /// Guards the parser's own recursion.
  mutating func nested<Result>(_ read: (inout Parser) throws -> Result) throws -> Result {
    nesting += 1
    defer { nesting -= 1 }
    if nesting > Parser.deepestNesting { throw failure("nested more than \(Parser.deepestNesting) deep") }
    return try read(&self)
  }
}

// MARK: Statements

extension Parser {
  /// Statements up to a tag that begins with one of `ends`, which is left to read; up to the end when there are none.
  private mutating func body(until ends: [String]) throws -> [Statement] {
    var statements: [Statement] = []
    while true {
      let line = line
      switch current.kind {
      case .data(let text):
        next()
        statements.append(Statement(line: line, form: .text(text)))
      case .variableBegin:
        next()
        statements.append(Statement(line: line, form: .output(try tuple())))
        try expect(.variableEnd)
      case .blockBegin:
        next()
        if case .name(let name) = current.kind, ends.contains(name) { return statements }
        statements.append(contentsOf: try nested { try $0.statement() })
        try expect(.blockEnd)
      default:
        guard ends.isEmpty else {
          throw failure(
            "the tag '\(openTags.last ?? "")' is never closed; it ends with '\(ends.joined(separator: "' or '"))'")
        }
        return statements
      }
    }
  }

  /// The body of a tag whose opening part ends here.
  private mutating func block(until ends: String...) throws -> [Statement] {
    _ = skip(.colon)
    try expect(.blockEnd)
    return try body(until: ends)
  }

  private mutating func statement() throws -> [Statement] {
    let line = line
    let tag = try expectName()
    openTags.append(tag)
    defer { openTags.removeLast() }
    func one(_ form: Statement.Form) -> [Statement] { [Statement(line: line, form: form)] }
    switch tag {
    case "if": return one(try branch())
    case "for": return one(.loop(try loop()))
    case "set": return one(try assignment())
    case "macro":
      let name = try expectName()
      return one(.macro(try macro(name, parameters: try signature(), end: "endmacro")))
    case "call": return one(try callBlock())
    case "with": return one(try with())
    case "filter":
      let filter = try filters(on: Expression.captured(line), startsInline: true)
      let body = try block(until: "endfilter")
      next()
      return one(.filter(filter, body: body))
    case "generation":
      let body = try block(until: "endgeneration")
      next()
      return one(.generation(body))
    case "print": return try printed(line)
    case "break": return one(.leaveLoop)
    case "continue": return one(.nextIteration)
    case "block", "extends", "include", "import", "from", "autoescape":
      throw failure("the tag '\(tag)' is not supported in chat templates", line: line)
    default:
      let expected = openTags.dropLast().last.map { "; the innermost open tag is '\($0)'" } ?? ""
      throw failure("unknown tag '\(tag)'\(expected)", line: line)
    }
  }

  private mutating func branch() throws -> Statement.Form {
    var branches: [Statement.Branch] = []
    var otherwise: [Statement] = []
    while true {
      let condition = try tuple(withConditional: false)
      branches.append(Statement.Branch(condition: condition, body: try block(until: "elif", "else", "endif")))
      let end = try expectName()
      if end == "elif" { continue }
      if end == "else" {
        otherwise = try block(until: "endif")
        next()
      }
      return .branch(branches, otherwise: otherwise)
    }
  }

  private mutating func loop() throws -> Statement.Loop {
    let target = try target(endsAt: "in")
    try expect(name: "in")
    let iterable = try tuple(withConditional: false, endsAt: "recursive")
    let condition = skip(name: "if") ? try expression() : nil
    let isRecursive = skip(name: "recursive")
    let body = try block(until: "endfor", "else")
    var otherwise: [Statement] = []
    if try expectName() == "else" {
      otherwise = try block(until: "endfor")
      next()
    }
    return Statement.Loop(
      target: target, iterable: iterable, condition: condition, isRecursive: isRecursive, body: body,
      otherwise: otherwise)
  }

  private mutating func assignment() throws -> Statement.Form {
    let line = line
    let target = try target(withAttributes: true)
    if skip(.assign) { return .assign(target, try tuple()) }
    let filter = at(.pipe) ? try filters(on: Expression.captured(line)) : nil
    let body = try block(until: "endset")
    next()
    return .assignBlock(target, filter: filter, body: body)
  }

  private mutating func with() throws -> Statement.Form {
    var values: [(target: Target, value: Expression)] = []
    while current.kind != .blockEnd {
      if !values.isEmpty { try expect(.comma) }
      let target = try target()
      try expect(.assign)
      values.append((target, try expression()))
    }
    let body = try block(until: "endwith")
    next()
    return .with(values, body: body)
  }

  private mutating func printed(_ line: Int) throws -> [Statement] {
    var outputs: [Statement] = []
    while current.kind != .blockEnd {
      if !outputs.isEmpty { try expect(.comma) }
      outputs.append(Statement(line: line, form: .output(try expression())))
    }
    return outputs
  }

  private mutating func callBlock() throws -> Statement.Form {
    let parameters = at(.openParenthesis) ? try signature() : []
    let line = line
    guard case .call(let callee, let arguments) = try expression().form else {
      throw failure("a 'call' tag needs a call", line: line)
    }
    return .call(callee: callee, arguments, block: try macro("caller", parameters: parameters, end: "endcall"))
  }

  private mutating func signature() throws -> [(name: String, standard: Expression?)] {
    var parameters: [(name: String, standard: Expression?)] = []
    try expect(.openParenthesis)
    while !at(.closeParenthesis) {
      if !parameters.isEmpty { try expect(.comma) }
      let name = try expectName()
      let standard = skip(.assign) ? try expression() : nil
      if standard == nil, parameters.contains(where: { $0.standard != nil }) {
        throw failure("the parameter '\(name)' needs a default value, like the one before it")
      }
      parameters.append((name, standard))
    }
    next()
    return parameters
  }

  private mutating func macro(
    _ name: String, parameters: [(name: String, standard: Expression?)], end: String
  ) throws -> MacroSyntax {
    let outer = names
    names = []
    let body = try block(until: end)
    next()
    let used = names
    names = outer.union(used)
    return MacroSyntax(
      name: name, parameters: parameters, body: body, takesVarargs: used.contains("varargs"),
      takesKwargs: used.contains("kwargs"))
  }

  /// What a value is assigned to; `endsAt` is the name that follows.
  private mutating func target(withAttributes: Bool = false, endsAt end: String? = nil) throws -> Target {
    var targets: [Target] = []
    var isTuple = false
    while true {
      if let end, at(name: end), !targets.isEmpty { break }
      if at(.assign) || current.kind == .blockEnd, !targets.isEmpty { break }
      if skip(.openParenthesis) {
        targets.append(try nested { try $0.target() })
        try expect(.closeParenthesis)
      } else {
        let name = try expectName()
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
          throw failure("cannot assign to '\(name)'")
        }
        if withAttributes, skip(.dot) {
          targets.append(.attribute(namespace: name, try expectName()))
        } else {
          targets.append(.name(name))
        }
      }
      guard skip(.comma) else { break }
      isTuple = true
    }
    return isTuple ? .tuple(targets) : targets[0]
  }
}
