/// Runs the statements of one template once.
final class Interpreter {
  /// Where names are looked up; set by the innermost block that has names of its own.
  var scope: Scope
  var output = TextBuilder()
  /// The line of what runs now.
  var line = 1
  private var stepsLeft: Int
  private var depth = 0
  /// Names kept by macros, emptied at the end because they may hold one another.
  private var keptScopes: [Scope] = []
  private var namespaces: [Namespace] = []
  let clock: () -> Moment

  /// Most expressions, calls and loops in one another.
  static let deepest = 400

  init(variables: Scope, steps: Int, clock: @escaping () -> Moment) {
    scope = Scope(parent: variables)
    stepsLeft = steps
    self.clock = clock
  }

  /// Breaks the circles between values that a template can build.
  func tearDown() {
    for scope in keptScopes { scope.variables.removeAll() }
    for namespace in namespaces { namespace.entries.removeAll() }
    scope.variables.removeAll()
  }

  func keep(_ scope: Scope) { keptScopes.append(scope) }
  func keep(_ namespace: Namespace) { namespaces.append(namespace) }

  /// Counts work; what a template may do is bounded.
  func charge(_ steps: Int) throws {
    stepsLeft -= steps
    if stepsLeft < 0 { throw TemplateProblem("it does not come to an end within the steps that are allowed") }
  }

  /// Counts the work of going through a value and all that stands in it.
  func charge(for value: Value) throws {
    let weight = value.extent.weight
    if weight > 1 { try charge(weight) }
  }

  /// Guards the recursion of the interpreter itself.
  func deeper<Result>(_ run: () throws -> Result) throws -> Result {
    depth += 1
    defer { depth -= 1 }
    if depth > Interpreter.deepest { throw TemplateProblem("it calls itself too deep") }
    return try run()
  }

  /// Runs `body` with names of its own.
  func within<Result>(_ inner: Scope, _ body: () throws -> Result) rethrows -> Result {
    let outer = scope
    scope = inner
    defer { scope = outer }
    return try body()
  }

  /// What `body` writes, instead of writing it.
  func capture(_ body: () throws -> Void) throws -> Text {
    let outer = output
    output = TextBuilder()
    defer { output = outer }
    try body()
    let text = output.text
    try charge(text.cost)
    return text
  }
}

/// The names of one block, in front of those of the blocks around it.
final class Scope {
  var variables: [String: Value] = [:]
  let parent: Scope?

  init(parent: Scope?) { self.parent = parent }

  func lookUp(_ name: String) -> Value? {
    var scope: Scope? = self
    while let current = scope {
      if let value = current.variables[name] { return value }
      scope = current.parent
    }
    return nil
  }
}

/// How a block ended.
enum Flow {
  case onward
  case leaveLoop
  case nextIteration
}
