/// Attributes, items and slices, in the order in which the sandbox looks for them.
extension Interpreter {
  /// `value.name`.
  func attribute(_ name: String, of value: Value) throws -> Value {
    switch value {
    case .undefined(let absence): throw TemplateProblem(absence.message)
    case .dict(let mapping):
      return try method(name, of: value) ?? mapping.entries[.string(Text(name))]
        ?? .undefined(.attribute(of: "dict object", name))
    case .namespace, .loop, .string, .list, .tuple, .function, .range:
      return try member(name, of: value) ?? .undefined(.attribute(of: value.typeName + " object", name))
    default: return .undefined(.attribute(of: value.isNone ? "None" : value.typeName + " object", name))
    }
  }

  /// `value[index]`.
  func item(_ index: Value, of value: Value) throws -> Value {
    try charge(for: index)
    switch value {
    case .undefined(let absence): throw TemplateProblem(absence.message)
    case .dict(let mapping):
      if index.isHashable, let found = mapping.entries[index] { return found }
    case .string(let text):
      if case .int(let position)? = index.number, let character = text.character(position) {
        try charge(text.cost)
        return .string(character)
      }
    case .list(let items), .tuple(let items):
      if case .int(let position)? = index.number {
        let at = position < 0 ? position + items.values.count : position
        if items.values.indices.contains(at) { return items.values[at] }
      }
    case .range(let span):
      if case .int(let position)? = index.number {
        let at = position < 0 ? position + span.count : position
        if (0..<span.count).contains(at) { return span.element(at) }
      }
    default: break
    }
    guard let name = index.text?.string else {
      return .undefined(.element(of: value.typeName + " object", try repr(index)))
    }
    return try member(name, of: value) ?? .undefined(.attribute(of: value.typeName + " object", name))
  }

  /// A method or a property, nil when Python has none of that name.
  private func member(_ name: String, of value: Value) throws -> Value? {
    switch value {
    case .namespace(let namespace): namespace.entries[name]
    case .loop(let loop): try loop.attribute(name, self)
    case .function(let function): name == "name" ? .string(function.name) : nil
    case .range(let span):
      switch name {
      case "start": .int(Int(span.start))
      case "stop": .int(Int(span.stop))
      case "step": .int(Int(span.step))
      default: nil
      }
    default: try method(name, of: value)
    }
  }

  /// `value[from:to:step]`.
  func slice(_ value: Value, _ from: Value?, _ to: Value?, _ step: Value?) throws -> Value {
    let count: Int
    switch value {
    case .undefined(let absence): throw TemplateProblem(absence.message)
    case .string, .list, .tuple, .range: count = try length(of: value)
    default: throw TemplateProblem("'\(value.typeName)' object cannot be sliced")
    }
    func bound(_ value: Value?) throws -> Int? {
      guard let value, !value.isNone else { return nil }
      return try value.integer(for: "slice")
    }
    let stride = min(max(try bound(step) ?? 1, -count - 1), count + 1)
    if try bound(step) == 0 { throw TemplateProblem("slice step cannot be zero") }
    let lowest = stride > 0 ? 0 : -1
    let highest = stride > 0 ? count : count - 1
    func clamped(_ index: Int?, _ standard: Int) -> Int {
      guard let index else { return standard }
      return index < 0 ? max(index &+ count, lowest) : min(index, highest)
    }
    let first = clamped(try bound(from), stride > 0 ? lowest : highest)
    let last = clamped(try bound(to), stride > 0 ? highest : lowest)
    try charge(value.cost)
    let indices = Swift.stride(from: first, to: last, by: stride)
    switch value {
    case .string(let text):
      if stride != 1 { return .string(try text.gather(indices)) }
      if text.isASCII { return .string(text.slice(first..<max(first, last))) }
      let offsets = text.boundaries
      return .string(text.slice(offsets[first]..<offsets[max(first, last)]))
    case .list(let items): return .list(try Items(indices.map { items.values[$0] }))
    case .tuple(let items): return .tuple(try Items(indices.map { items.values[$0] }))
    case .range(let span): return .list(try Items(indices.map { span.element($0) }))
    default: return .none
    }
  }
}
