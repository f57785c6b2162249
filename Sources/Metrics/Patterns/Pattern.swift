import Ground

/// A regular expression that takes time in proportion to the text, whatever it is (Thompson 1968).
struct Pattern: Sendable {
  /// A state of the automaton and what leads out of it.
  enum State: Sendable {
    case one(ScalarSet, Int)
    case either(Int, Int)
    case textStart(Int)
    case textEnd(Int)
    case found
  }

  private var states: [State] = []
  private var start = 0
  static let mostStates = 20_000

  /// - Throws: `Fault(.badConfiguration)` where it is no regular expression, or not one of ``PatternReader``.
  init(_ source: String) throws {
    var reader = PatternReader(source)
    let node = try reader.read()
    let end = try add(.found, source)
    start = try add(node, before: end, source)
  }

  private mutating func add(_ state: State, _ source: String) throws -> Int {
    guard states.count < Pattern.mostStates else {
      throw Fault(
        .badConfiguration, "the pattern '\(source.prefix(80))' is too large", "write it with fewer repetitions")
    }
    states.append(state)
    return states.count - 1
  }

  /// Adds what `node` stands for and then goes on at `next`.
  private mutating func add(_ node: PatternNode, before next: Int, _ source: String) throws -> Int {
    switch node {
    case .one(let set): return try add(.one(set, next), source)
    case .textStart: return try add(.textStart(next), source)
    case .textEnd: return try add(.textEnd(next), source)
    case .sequence(let items): return try items.reversed().reduce(next) { try add($1, before: $0, source) }
    case .either(let options):
      let starts = try options.map { try add($0, before: next, source) }
      return try starts.dropLast().reversed().reduce(starts[starts.count - 1]) { try add(.either($1, $0), source) }
    case .repeated(let item, let least, let most):
      var after = next
      if let most {
        for _ in least..<most { after = try add(.either(add(item, before: after, source), next), source) }
      } else {
        let loop = try add(.either(next, next), source)
        states[loop] = .either(try add(item, before: loop, source), next)
        after = loop
      }
      for _ in 0..<least {
        let count = states.count
        after = try add(item, before: after, source)
        // What stands for nothing is as much once as a thousand times.
        if states.count == count { break }
      }
      return after
    }
  }

  /// Whether it is found anywhere in a text.
  func isFound(in text: String) -> Bool {
    let scalars = Array(text.unicodeScalars)
    var current: [Int] = []
    var marks = [Int](repeating: -1, count: states.count)
    for place in 0...scalars.count {
      enter(start, at: place, of: scalars.count, &current, &marks)
      if current.contains(where: isEnd) { return true }
      guard place < scalars.count else { break }
      let before = current
      current = []
      for state in before {
        guard case .one(let set, let next) = states[state], set.contains(scalars[place]) else { continue }
        enter(next, at: place + 1, of: scalars.count, &current, &marks)
      }
    }
    return false
  }

  private func isEnd(_ state: Int) -> Bool { if case .found = states[state] { true } else { false } }

  /// Adds to `list` the states that read or end and can be reached from `state` without reading.
  private func enter(_ state: Int, at place: Int, of count: Int, _ list: inout [Int], _ marks: inout [Int]) {
    var open = [state]
    while let state = open.popLast() {
      guard marks[state] != place else { continue }
      marks[state] = place
      switch states[state] {
      case .one, .found: list.append(state)
      case .either(let one, let other): open += [other, one]
      case .textStart(let next): if place == 0 { open.append(next) }
      case .textEnd(let next): if place == count { open.append(next) }
      }
    }
  }
}
