/// Going through values, as Python's `iter`, `len` and `in` do.
extension Interpreter {
  /// All elements, in order.
  func elements(of value: Value) throws -> [Value] {
    switch value {
    case .list(let items), .tuple(let items): return items.values
    case .view(let view): return view.items.values
    case .generator(let generator): return try generator.rest(self)
    case .dict(let mapping): return Array(mapping.entries.keys)
    default:
      let generator = try generator(over: value)
      return try generator.rest(self)
    }
  }

  /// The elements one by one.
  func generator(over value: Value) throws -> Generator {
    switch value {
    case .generator(let generator): return generator
    case .list(let items), .tuple(let items):
      return try counted(items.extent.depth, items.values.count) { items.values[$0] }
    case .view(let view): return try generator(over: .list(view.items))
    case .dict(let mapping):
      return try counted(mapping.extent.depth, mapping.entries.count) { mapping.entries.elements[$0].key }
    case .range(let span): return try counted(0, span.count) { span.element($0) }
    case .string(let text):
      let offsets = text.boundaries
      try charge(offsets.count)
      return try counted(0, offsets.count - 1) { .string(text.slice(offsets[$0]..<offsets[$0 + 1])) }
    case .undefined: return try counted(0, 0) { _ in .none }
    case .loop(let loop): return try Generator(drawingFrom: 0) { try loop.next($0) }
    default: throw TemplateProblem("'\(value.typeName)' object is not iterable")
    }
  }

  private func counted(_ depth: Int, _ count: Int, _ element: @escaping (Int) -> Value) throws -> Generator {
    var index = 0
    return try Generator(drawingFrom: depth) { _ in
      guard index < count else { return nil }
      defer { index += 1 }
      return element(index)
    }
  }

  /// `len(value)`.
  func length(of value: Value) throws -> Int {
    switch value {
    case .string(let text): return text.scalarCount
    case .list(let items), .tuple(let items): return items.values.count
    case .view(let view): return view.items.values.count
    case .dict(let mapping): return mapping.entries.count
    case .range(let span): return span.count
    case .undefined: return 0
    case .loop(let loop): return try loop.length(self)
    default: throw TemplateProblem("object of type '\(value.typeName)' has no len()")
    }
  }

  /// `item in container`.
  func contains(_ container: Value, _ item: Value) throws -> Bool {
    try charge(for: item)
    try charge(min(container.extent.weight, container.cost * item.extent.weight))
    switch container {
    case .string(let text):
      guard let needle = item.text else {
        throw TemplateProblem("'in <string>' requires string as left operand, not \(item.typeName)")
      }
      try chargeSearch(text, needle)
      return text.find(needle) != nil
    case .dict(let mapping):
      guard item.isHashable else { throw TemplateProblem("unhashable type: '\(item.typeName)'") }
      return mapping.entries[item] != nil
    case .list(let items), .tuple(let items): return items.values.contains(item)
    case .view(let view): return view.items.values.contains(item)
    case .none, .bool, .int, .float, .function, .namespace:
      throw TemplateProblem("argument of type '\(container.typeName)' is not iterable")
    default: return try elements(of: container).contains(item)
    }
  }

  /// Counts the work of a search that may compare the whole needle at every place.
  func chargeSearch(_ text: Text, _ needle: Text) throws {
    try charge(text.cost * (1 + min(needle.bytes.count, text.bytes.count) >> 6))
  }
}
