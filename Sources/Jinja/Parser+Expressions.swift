// MARK: Building

extension Expression {
  static func captured(_ line: Int) -> Expression { Expression(line: line, form: .captured, depth: 1) }

  static func constant(_ constant: Constant, _ line: Int) -> Expression {
    Expression(line: line, form: .constant(constant), depth: 1)
  }
}

extension Parser {
  /// - Throws: `SyntaxProblem` when expressions stand too deep in one another.
  func make(_ form: Expression.Form, _ line: Int, of parts: [Expression]) throws -> Expression {
    let depth = 1 + (parts.lazy.map(\.depth).max() ?? 0)
    if depth > Parser.deepestExpression {
      throw failure("an expression has more than \(Parser.deepestExpression) steps", line: line)
    }
    return Expression(line: line, form: form, depth: depth)
  }
}

// MARK: Operators

extension Parser {
  /// An expression, or several separated by commas, which make a tuple.
  mutating func tuple(
    withConditional: Bool = true, endsAt end: String? = nil, inParentheses: Bool = false
  ) throws -> Expression {
    let line = line
    var values: [Expression] = []
    var isTuple = false
    while true {
      if atTupleEnd(end) { break }
      values.append(try withConditional ? expression() : disjunction())
      guard skip(.comma) else { break }
      isTuple = true
    }
    if !isTuple, let only = values.first { return only }
    if values.isEmpty, !inParentheses { throw failure("expected an expression instead of \(current.description)") }
    return try make(.tuple(values), line, of: values)
  }

  private func atTupleEnd(_ end: String?) -> Bool {
    switch current.kind {
    case .variableEnd, .blockEnd, .symbol(.closeParenthesis): true
    case .name(let name): name == end
    default: false
    }
  }

  mutating func expression() throws -> Expression {
    try nested { parser in
      let line = parser.line
      var result = try parser.disjunction()
      while parser.skip(name: "if") {
        let condition = try parser.disjunction()
        let otherwise = parser.skip(name: "else") ? try parser.expression() : nil
        let parts = [condition, result] + (otherwise.map { [$0] } ?? [])
        result = try parser.make(
          .conditional(condition: condition, then: result, otherwise: otherwise), line, of: parts)
      }
      return result
    }
  }

  private mutating func disjunction() throws -> Expression {
    let line = line
    var left = try conjunction()
    while skip(name: "or") {
      let right = try conjunction()
      left = try make(.or(left, right), line, of: [left, right])
    }
    return left
  }

  private mutating func conjunction() throws -> Expression {
    let line = line
    var left = try negation()
    while skip(name: "and") {
      let right = try negation()
      left = try make(.and(left, right), line, of: [left, right])
    }
    return left
  }

  private mutating func negation() throws -> Expression {
    let line = line
    guard skip(name: "not") else { return try comparison() }
    let inner = try nested { try $0.negation() }
    return try make(.not(inner), line, of: [inner])
  }

  private mutating func comparison() throws -> Expression {
    let line = line
    let first = try sum()
    var others: [Expression.Comparison] = []
    while let relation = skipRelation() {
      others.append(Expression.Comparison(relation: relation, operand: try sum()))
    }
    if others.isEmpty { return first }
    return try make(.comparison(first, others), line, of: [first] + others.map(\.operand))
  }

  private mutating func skipRelation() -> Expression.Comparison.Relation? {
    switch current.kind {
    case .symbol(let symbol):
      guard let relation = Expression.Comparison.Relation(rawValue: symbol.rawValue) else { return nil }
      next()
      return relation
    case .name("in"):
      next()
      return .contained
    case .name("not") where following.kind == .name("in"):
      next()
      next()
      return .notContained
    default: return nil
    }
  }

  /// `+` and `-`, which bind weaker than `~`.
  private mutating func sum() throws -> Expression {
    let line = line
    var left = try concatenation()
    while at(.plus) || at(.minus) {
      let operation: Expression.Arithmetic = next().kind == .symbol(.plus) ? .add : .subtract
      let right = try concatenation()
      left = try make(.arithmetic(operation, left, right), line, of: [left, right])
    }
    return left
  }

  private mutating func concatenation() throws -> Expression {
    let line = line
    var parts = [try product()]
    while skip(.tilde) { parts.append(try product()) }
    return parts.count == 1 ? parts[0] : try make(.concatenation(parts), line, of: parts)
  }

  private mutating func product() throws -> Expression {
    let line = line
    var left = try power()
    while case .symbol(let symbol) = current.kind, [.times, .divide, .floorDivide, .modulo].contains(symbol),
      let operation = Expression.Arithmetic(rawValue: symbol.rawValue)
    {
      next()
      let right = try power()
      left = try make(.arithmetic(operation, left, right), line, of: [left, right])
    }
    return left
  }

  private mutating func power() throws -> Expression {
    let line = line
    var left = try unary()
    while skip(.power) {
      let right = try unary()
      left = try make(.arithmetic(.power, left, right), line, of: [left, right])
    }
    return left
  }

  private mutating func unary(withFilters: Bool = true) throws -> Expression {
    let line = line
    var result: Expression
    if at(.minus) || at(.plus) {
      let isMinus = next().kind == .symbol(.minus)
      let inner = try nested { try $0.unary(withFilters: false) }
      result = try make(isMinus ? .negative(inner) : .positive(inner), line, of: [inner])
    } else {
      result = try primary()
    }
    result = try postfix(result)
    return withFilters ? try filtersAndTests(result) : result
  }
}

// MARK: Operands

extension Parser {
  private mutating func primary() throws -> Expression {
    let token = current
    let line = token.line
    switch token.kind {
    case .name(let name):
      next()
      switch name {
      case "true", "True": return .constant(.bool(true), line)
      case "false", "False": return .constant(.bool(false), line)
      case "none", "None": return .constant(.none, line)
      default:
        names.insert(name)
        return try make(.name(name), line, of: [])
      }
    case .string(var text):
      next()
      while case .string(let more) = current.kind {
        text += more
        next()
      }
      return .constant(.string(Text(text)), line)
    case .integer(let value):
      next()
      return .constant(.int(value), line)
    case .float(let value):
      next()
      return .constant(.float(value), line)
    case .symbol(.openParenthesis):
      next()
      let inner = try nested { try $0.tuple(inParentheses: true) }
      try expect(.closeParenthesis)
      return inner
    case .symbol(.openBracket):
      next()
      let values = try series(until: .closeBracket) { try $0.expression() }
      return try make(.list(values), line, of: values)
    case .symbol(.openBrace):
      next()
      let entries = try series(until: .closeBrace) { parser in
        let key = try parser.expression()
        try parser.expect(.colon)
        return Expression.Entry(key: key, value: try parser.expression())
      }
      return try make(.dictionary(entries), line, of: entries.flatMap { [$0.key, $0.value] })
    default: throw failure("unexpected \(token.description)")
    }
  }

  /// Items separated by commas, with the bracket that closes them.
  private mutating func series<Item>(
    until close: Token.Symbol, _ read: (inout Parser) throws -> Item
  ) throws -> [Item] {
    var items: [Item] = []
    while !at(close) {
      if !items.isEmpty { try expect(.comma) }
      if at(close) { break }
      items.append(try read(&self))
    }
    next()
    return items
  }

  private mutating func postfix(_ operand: Expression) throws -> Expression {
    var result = operand
    while case .symbol(let symbol) = current.kind, [.dot, .openBracket, .openParenthesis].contains(symbol) {
      result = symbol == .openParenthesis ? try call(result) : try subscripted(result)
    }
    return result
  }

  private mutating func subscripted(_ operand: Expression) throws -> Expression {
    let line = line
    if next().kind == .symbol(.dot) {
      switch next().kind {
      case .name(let name): return try make(.attribute(operand, name), line, of: [operand])
      case .integer(let index):
        return try make(.item(operand, .constant(.int(index), line)), line, of: [operand])
      default: throw failure("expected a name or a number after '.'", line: line)
      }
    }
    var indices: [Expression] = []
    while !at(.closeBracket) {
      if !indices.isEmpty { try expect(.comma) }
      var from: Expression?
      if !at(.colon) { from = try expression() }
      if skip(.colon) {
        let to = at(.closeBracket) || at(.colon) ? nil : try expression()
        let step = skip(.colon) && !at(.closeBracket) ? try expression() : nil
        guard indices.isEmpty, at(.closeBracket) else { throw failure("a slice cannot stand beside other indices") }
        next()
        let parts = [operand] + [from, to, step].compactMap { $0 }
        return try make(.slice(operand, from: from, to: to, step: step), line, of: parts)
      }
      if let from { indices.append(from) }
    }
    next()
    if indices.isEmpty { throw failure("expected an index between '[' and ']'", line: line) }
    let index = indices.count == 1 ? indices[0] : try make(.tuple(indices), line, of: indices)
    return try make(.item(operand, index), line, of: [operand, index])
  }

  private mutating func filtersAndTests(_ operand: Expression) throws -> Expression {
    var result = operand
    while true {
      switch current.kind {
      case .symbol(.pipe): result = try filters(on: result)
      case .name("is"): result = try test(on: result)
      case .symbol(.openParenthesis): result = try call(result)
      default: return result
      }
    }
  }

  /// `| filter | filter(…) …`; the first `|` is left out when `startsInline`.
  mutating func filters(on operand: Expression, startsInline: Bool = false) throws -> Expression {
    var result = operand
    var isInline = startsInline
    while isInline || skip(.pipe) {
      isInline = false
      let line = line
      let name = try dottedName()
      let arguments = at(.openParenthesis) ? try argumentList() : ArgumentList()
      result = try make(.filter(name, result, arguments), line, of: [result] + arguments.expressions)
    }
    return result
  }

  private mutating func test(on operand: Expression) throws -> Expression {
    let line = line
    next()
    let isNegated = skip(name: "not")
    let name = try dottedName()
    var arguments = ArgumentList()
    switch current.kind {
    case .symbol(.openParenthesis): arguments = try argumentList()
    case .name("else"), .name("or"), .name("and"): break
    case .name("is"): throw failure("tests with 'is' cannot follow one another")
    case .name, .string, .integer, .float, .symbol(.openBracket), .symbol(.openBrace):
      arguments.positional = [try postfix(try primary())]
    default: break
    }
    let test = try make(.test(name, operand, arguments), line, of: [operand] + arguments.expressions)
    return isNegated ? try make(.not(test), line, of: [test]) : test
  }

  private mutating func dottedName() throws -> String {
    var name = try expectName()
    while skip(.dot) { name += "." + (try expectName()) }
    return name
  }

  private mutating func call(_ callee: Expression) throws -> Expression {
    let line = line
    let arguments = try argumentList()
    return try make(.call(callee, arguments), line, of: [callee] + arguments.expressions)
  }

  private mutating func argumentList() throws -> ArgumentList {
    var list = ArgumentList()
    try expect(.openParenthesis)
    var isFirst = true
    while !at(.closeParenthesis) {
      if !isFirst { try expect(.comma) }
      isFirst = false
      if at(.closeParenthesis) { break }
      if skip(.times) {
        guard list.spread == nil, list.namedSpread == nil else { throw failure("wrong order of arguments") }
        list.spread = try expression()
      } else if skip(.power) {
        guard list.namedSpread == nil else { throw failure("wrong order of arguments") }
        list.namedSpread = try expression()
      } else if case .name(let name) = current.kind, following.kind == .symbol(.assign) {
        guard list.namedSpread == nil else { throw failure("wrong order of arguments") }
        next()
        next()
        list.named.append((name, try expression()))
      } else {
        guard list.spread == nil, list.namedSpread == nil, list.named.isEmpty else {
          throw failure("a positional argument follows a named one")
        }
        list.positional.append(try expression())
      }
    }
    next()
    return list
  }
}
