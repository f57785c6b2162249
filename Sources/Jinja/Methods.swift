/// The methods of Python's types that templates may call.
extension Interpreter {
  typealias Method = (Interpreter, inout Arguments) throws -> Value

  /// The bound method `name` of a value, nil when Python's type has none.
  /// - Throws: `TemplateProblem` for methods that Python has and this engine has not.
  func method(_ name: String, of value: Value) throws -> Value? {
    let body: Method?
    switch value {
    case .string(let text): body = try stringMethod(name, text)
    case .dict(let mapping): body = try dictMethod(name, mapping)
    case .list(let items): body = try sequenceMethod(name, items, isList: true)
    case .tuple(let items): body = try sequenceMethod(name, items, isList: false)
    default: body = nil
    }
    return body.map { .function(Function(name, depth: value.extent.depth, $0)) }
  }

  private func dictMethod(_ name: String, _ mapping: Mapping) throws -> Method? {
    switch name {
    case "items": return { _, _ in .view(try View(.items, mapping)) }
    case "keys": return { _, _ in .view(try View(.keys, mapping)) }
    case "values": return { _, _ in .view(try View(.values, mapping)) }
    case "copy": return { _, _ in .dict(mapping) }
    case "get":
      return { interpreter, arguments in
        let taken = try arguments.take("key", "default", by: "get")
        guard let key = taken[0] else { throw TemplateProblem("get() needs a key") }
        guard key.isHashable else { throw TemplateProblem("unhashable type: '\(key.typeName)'") }
        try interpreter.charge(for: key)
        return mapping.entries[key] ?? taken[1] ?? .none
      }
    case "pop", "popitem", "update", "clear", "setdefault": return forbidden(name, "dict")
    default: return nil
    }
  }

  private func sequenceMethod(_ name: String, _ items: Items, isList: Bool) throws -> Method? {
    switch name {
    case "index":
      return { interpreter, arguments in
        let item = try arguments.take("value", by: "index")[0] ?? .none
        try interpreter.charge(items.extent.weight)
        guard let index = items.values.firstIndex(of: item) else {
          throw TemplateProblem("\(try interpreter.repr(item)) is not in list")
        }
        return .int(index)
      }
    case "count":
      return { interpreter, arguments in
        let item = try arguments.take("value", by: "count")[0] ?? .none
        try interpreter.charge(items.extent.weight)
        return .int(items.values.count { $0 == item })
      }
    case "copy" where isList: return { _, _ in .list(items) }
    case "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort":
      return isList ? forbidden(name, "list") : nil
    default: return nil
    }
  }

  /// A method that the sandbox forbids because it changes its object.
  private func forbidden(_ name: String, _ type: String) -> Method {
    { _, _ in throw TemplateProblem("access to attribute '\(name)' of '\(type)' object is unsafe") }
  }
}
