import OrderedCollections

/// Filters over sequences.
extension Interpreter {
  func sequenceFilter(_ name: String, _ value: Value, _ arguments: inout Arguments) throws -> Value? {
    switch name {
    case "default", "d":
      let taken = try arguments.take("default_value", "boolean", by: name)
      let isMissing = value.isUndefined || (taken[1]?.isTrue ?? false) && !value.isTrue
      return isMissing ? taken[0] ?? .string("") : value
    case "length", "count": return .int(try length(of: value))
    case "list": return .list(try Items(try elements(of: value)))
    case "first":
      return try generator(over: value).next(self) ?? .undefined(.hint("No first item, sequence was empty."))
    case "last":
      if case .generator = value { throw TemplateProblem("'generator' object is not reversible") }
      return try elements(of: value).last ?? .undefined(.hint("No last item, sequence was empty."))
    case "reverse":
      if let text = value.text { return .string(try text.gather((0..<text.scalarCount).reversed())) }
      return try once(try elements(of: value).reversed())
    case "items":
      if value.isUndefined { return try once([]) }
      guard case .dict(let mapping) = value else { throw TemplateProblem("Can only get item pairs from a mapping.") }
      return try once(try View(.items, mapping).items.values)
    case "attr":
      let name = try (try arguments.take("name", by: name)[0] ?? .none).string(for: name).string
      if case .dict(let mapping) = value {
        return try method(name, of: value) ?? .undefined(.attribute(of: Value.dict(mapping).typeName, name))
      }
      return try attribute(name, of: value)
    case "map": return try mapped(value, arguments)
    case "select", "reject", "selectattr", "rejectattr": return try selected(name, value, arguments)
    case "batch", "slice":
      let taken = try arguments.take(name == "batch" ? "linecount" : "slices", "fill_with", by: name)
      let count = try (taken[0] ?? .none).integer(for: name)
      guard (1...Extent.heaviest).contains(count) else { throw TemplateProblem("\(name)() needs a positive number") }
      let values = try elements(of: value)
      let fill = taken[1].flatMap { $0.isNone ? nil : $0 }
      return try once(name == "batch" ? batches(values, count, fill) : slices(values, count, fill))
    default: return nil
    }
  }

  /// A value that can be gone through once.
  private func once(_ values: [Value]) throws -> Value {
    .generator(try generator(over: .list(try Items(values))))
  }

  /// Follows a path such as `name.0.other`, as filters with an `attribute` do.
  func look(_ value: Value, _ path: Value, standard: Value? = nil) throws -> Value {
    guard let text = path.text else { return try item(path, of: value) }
    var result = value
    for part in text.string.split(separator: ".", omittingEmptySubsequences: false) {
      let isIndex = !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
      result = try item(isIndex ? .int(Int(part) ?? .max) : .string(String(part)), of: result)
      if let standard, result.isUndefined { result = standard }
    }
    return result
  }

  private func mapped(_ value: Value, _ arguments: Arguments) throws -> Value {
    guard case .generator = value else {
      if !value.isTrue { return try once([]) }
      return try mapped(.generator(try generator(over: value)), arguments)
    }
    let source = try generator(over: value)
    var arguments = arguments
    if arguments.positional.isEmpty, let path = arguments.named.removeValue(forKey: "attribute") {
      let standard = arguments.named["default"]
      return .generator(
        try Generator(drawingFrom: source.depth) { interpreter in
          try source.next(interpreter).map { try interpreter.look($0, path, standard: standard) }
        })
    }
    guard let first = arguments.positional.first else { throw TemplateProblem("map requires a filter argument") }
    let name = try first.string(for: "map").string
    arguments.positional.removeFirst()
    let rest = arguments
    return .generator(
      try Generator(drawingFrom: source.depth) { interpreter in
        try source.next(interpreter).map { value in try interpreter.deeper { try interpreter.filter(name, value, rest) }
        }
      })
  }

  private func selected(_ name: String, _ value: Value, _ arguments: Arguments) throws -> Value {
    if case .generator = value {} else if !value.isTrue { return try once([]) }
    var arguments = arguments
    var path: Value?
    if name.hasSuffix("attr") {
      guard let first = arguments.positional.first else {
        throw TemplateProblem("Missing parameter for attribute name")
      }
      path = first
      arguments.positional.removeFirst()
    }
    var test: String?
    if let first = arguments.positional.first {
      test = try first.string(for: name).string
      arguments.positional.removeFirst()
    }
    let (source, rest, wanted, attribute, condition) =
      (try generator(over: value), arguments, name.hasPrefix("select"), path, test)
    return .generator(
      try Generator(drawingFrom: source.depth) { interpreter in
        while let value = try source.next(interpreter) {
          let subject = try attribute.map { try interpreter.look(value, $0) } ?? value
          let holds = try condition.map { try interpreter.test($0, subject, rest) } ?? subject.isTrue
          if holds == wanted { return value }
        }
        return nil
      })
  }

  private func batches(_ values: [Value], _ count: Int, _ fill: Value?) throws -> [Value] {
    try stride(from: 0, to: values.count, by: count).map { start in
      var batch = Array(values[start..<min(start + min(count, values.count), values.count)])
      if let fill, batch.count < count {
        try charge(count)
        batch += Array(repeating: fill, count: count - batch.count)
      }
      return .list(try Items(batch))
    }
  }

  private func slices(_ values: [Value], _ count: Int, _ fill: Value?) throws -> [Value] {
    try charge(count)
    let (size, surplus) = values.count.quotientAndRemainder(dividingBy: count)
    var start = 0
    return try (0..<count).map { index in
      let end = start + size + (index < surplus ? 1 : 0)
      defer { start = end }
      let filled = fill.map { index >= surplus ? [$0] : [] } ?? []
      return .list(try Items(Array(values[start..<end]) + filled))
    }
  }
}
