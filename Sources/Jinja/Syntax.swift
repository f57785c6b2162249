/// An expression of a template.
struct Expression: Sendable {
  let line: Int
  let form: Form
  /// How many expressions stand in one another here, at most.
  let depth: Int

  indirect enum Form: Sendable {
    case constant(Constant)
    case name(String)
    case list([Expression])
    case tuple([Expression])
    case dictionary([Entry])
    case attribute(Expression, String)
    case item(Expression, Expression)
    case slice(Expression, from: Expression?, to: Expression?, step: Expression?)
    case call(Expression, ArgumentList)
    case filter(String, Expression, ArgumentList)
    case test(String, Expression, ArgumentList)
    case not(Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case negative(Expression)
    case positive(Expression)
    case arithmetic(Arithmetic, Expression, Expression)
    case concatenation([Expression])
    case comparison(Expression, [Comparison])
    case conditional(condition: Expression, then: Expression, otherwise: Expression?)
    /// What a block tag with a filter applies it to.
    case captured
  }

  enum Constant: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(Text)
  }

  struct Entry: Sendable {
    let key: Expression
    let value: Expression
  }

  enum Arithmetic: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
  }

  struct Comparison: Sendable {
    enum Relation: String, Sendable {
      case equal = "=="
      case unequal = "!="
      case less = "<"
      case atMost = "<="
      case greater = ">"
      case atLeast = ">="
      case contained = "in"
      case notContained = "not in"
    }
    let relation: Relation
    let operand: Expression
  }
}

/// The arguments of a call as written.
struct ArgumentList: Sendable {
  var positional: [Expression] = []
  var named: [(name: String, value: Expression)] = []
  /// `*values`.
  var spread: Expression?
  /// `**entries`.
  var namedSpread: Expression?

  var expressions: [Expression] {
    positional + named.map(\.value) + [spread, namedSpread].compactMap { $0 }
  }
}

/// What `set`, `for` and `with` assign to.
indirect enum Target: Sendable {
  case name(String)
  case attribute(namespace: String, String)
  case tuple([Target])
}

/// A statement of a template, or a piece of text.
struct Statement: Sendable {
  let line: Int
  let form: Form

  indirect enum Form: Sendable {
    case text(Text)
    case output(Expression)
    case branch([Branch], otherwise: [Statement])
    case loop(Loop)
    case assign(Target, Expression)
    /// `{% set target | filter %}…{% endset %}`.
    case assignBlock(Target, filter: Expression?, body: [Statement])
    case with([(target: Target, value: Expression)], body: [Statement])
    case macro(MacroSyntax)
    /// `{% call(parameters) call %}…{% endcall %}`.
    case call(callee: Expression, ArgumentList, block: MacroSyntax)
    case filter(Expression, body: [Statement])
    case generation([Statement])
    case leaveLoop
    case nextIteration
  }

  struct Branch: Sendable {
    let condition: Expression
    let body: [Statement]
  }

  struct Loop: Sendable {
    let target: Target
    let iterable: Expression
    let condition: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]
  }
}

/// A macro, or the block of a `call` tag.
struct MacroSyntax: Sendable {
  let name: String
  let parameters: [(name: String, standard: Expression?)]
  let body: [Statement]
  /// Whether the body asks for the arguments that fit no parameter.
  let takesVarargs: Bool
  let takesKwargs: Bool
}
