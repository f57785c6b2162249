/// The special variable `loop`: where a `for` tag is in its values.
public final class Loop {
  private let values: Generator
  private(set) var index0 = -1
  let depth0: Int
  private var current: Value?
  private var before: Value?
  /// Values that were drawn ahead because the template asked for the next one or the length.
  private var ahead: ArraySlice<Value> = []
  private var lastChanged: [Value]?
  /// Runs the body over other values, where the tag is `recursive`; taken away when the loop ends.
  var recurse: ((Interpreter, Value) throws -> Text)?

  init(over values: Generator, depth0: Int) {
    self.values = values
    self.depth0 = depth0
  }

  func next(_ interpreter: Interpreter) throws -> Value? {
    let value = try ahead.popFirst() ?? values.next(interpreter)
    guard let value else { return nil }
    index0 += 1
    before = current
    current = value
    return value
  }

  func length(_ interpreter: Interpreter) throws -> Int {
    ahead += try values.rest(interpreter)
    return index0 + 1 + ahead.count
  }

  private func peek(_ interpreter: Interpreter) throws -> Value? {
    if ahead.isEmpty, let value = try values.next(interpreter) { ahead = [value] }
    return ahead.first
  }

  /// Lets go of everything, so that a loop kept by its own values dies.
  func finish() {
    recurse = nil
    ahead = []
    current = nil
    before = nil
    lastChanged = nil
  }

  /// `loop.name`, nil when there is no such thing.
  func attribute(_ name: String, _ interpreter: Interpreter) throws -> Value? {
    switch name {
    case "index": .int(index0 + 1)
    case "index0": .int(index0)
    case "first": .bool(index0 == 0)
    case "last": .bool(try peek(interpreter) == nil)
    case "length": .int(try length(interpreter))
    case "revindex": .int(try length(interpreter) - index0)
    case "revindex0": .int(try length(interpreter) - index0 - 1)
    case "depth": .int(depth0 + 1)
    case "depth0": .int(depth0)
    case "previtem":
      index0 == 0 ? .undefined(.hint("there is no previous item")) : before ?? .undefined(.hint("the loop is over"))
    case "nextitem": try peek(interpreter) ?? .undefined(.hint("there is no next item"))
    case "cycle": .function(Function("cycle") { [self] _, arguments in try cycle(arguments.positional) })
    case "changed": .function(Function("changed") { [self] in try .bool(changed($0, $1.positional)) })
    default: nil
    }
  }

  private func cycle(_ values: [Value]) throws -> Value {
    if values.isEmpty { throw TemplateProblem("no items for cycling given") }
    return values[index0 % values.count]
  }

  private func changed(_ interpreter: Interpreter, _ values: [Value]) throws -> Bool {
    for value in values { try interpreter.charge(for: value) }
    defer { lastChanged = values }
    return lastChanged != values
  }
}

extension Interpreter {
  /// Runs a `for` tag; `depth` counts the recursive loops around it.
  func runLoop(_ loop: Statement.Loop, over iterable: Value, depth: Int) throws {
    let outer = scope
    let state = Loop(over: try chosen(loop, try generator(over: iterable)), depth0: depth)
    if loop.isRecursive {
      state.recurse = { interpreter, inner in
        try interpreter.deeper {
          try interpreter.within(outer) {
            try interpreter.capture { try interpreter.runLoop(loop, over: inner, depth: depth + 1) }
          }
        }
      }
    }
    defer { state.finish() }
    var isEmpty = true
    while let value = try state.next(self) {
      isEmpty = false
      try charge(3)
      let inner = Scope(parent: outer)
      inner.variables["loop"] = .loop(state)
      let flow = try within(inner) {
        try assign(value, to: loop.target)
        return try run(loop.body)
      }
      if flow == .leaveLoop { break }
    }
    if isEmpty { try within(Scope(parent: outer)) { _ = try run(loop.otherwise) } }
  }

  /// The values that pass the loop's own condition.
  private func chosen(_ loop: Statement.Loop, _ values: Generator) throws -> Generator {
    guard let condition = loop.condition else { return values }
    let outer = scope
    return try Generator(drawingFrom: values.depth) { interpreter in
      while let value = try values.next(interpreter) {
        let passes = try interpreter.within(Scope(parent: outer)) {
          try interpreter.assign(value, to: loop.target)
          return try interpreter.evaluate(condition).isTrue
        }
        if passes { return value }
      }
      return nil
    }
  }
}
