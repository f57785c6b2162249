import OrderedCollections

/// Filters that compare the values of a sequence.
extension Interpreter {
  func orderFilter(_ name: String, _ value: Value, _ arguments: inout Arguments) throws -> Value? {
    switch name {
    case "sort":
      let taken = try arguments.take("reverse", "case_sensitive", "attribute", by: name)
      let keys = try sortKeys(taken[2], exact: taken[1]?.isTrue ?? false)
      return .list(try Items(try sorted(try elements(of: value), by: keys, descending: taken[0]?.isTrue ?? false)))
    case "unique":
      let taken = try arguments.take("case_sensitive", "attribute", by: name)
      return try unique(try elements(of: value), key(taken[1], exact: taken[0]?.isTrue ?? false))
    case "min", "max":
      let taken = try arguments.take("case_sensitive", "attribute", by: name)
      let key = key(taken[1], exact: taken[0]?.isTrue ?? false)
      return try extreme(try elements(of: value), key, isLargest: name == "max")
    case "sum":
      let taken = try arguments.take("attribute", "start", by: name)
      var total = taken[1] ?? .int(0)
      for element in try elements(of: value) {
        let part = try taken[0].map { $0.isNone ? element : try look(element, $0) } ?? element
        total = try arithmetic(.add, total, part)
      }
      return total
    case "dictsort":
      let taken = try arguments.take("case_sensitive", "by", "reverse", by: name)
      guard case .dict(let mapping) = value else { throw TemplateProblem("dictsort() needs a dictionary") }
      let by = taken[1]?.text?.string ?? "key"
      guard ["key", "value"].contains(by) else {
        throw TemplateProblem("You can only sort by either \"key\" or \"value\"")
      }
      let keys = try sortKeys(.int(by == "key" ? 0 : 1), exact: taken[0]?.isTrue ?? false)
      let entries = try View(.items, mapping).items.values
      return .list(try Items(try sorted(entries, by: keys, descending: taken[2]?.isTrue ?? false)))
    case "groupby":
      return try grouped(
        try elements(of: value), try arguments.take("attribute", "default", "case_sensitive", by: name))
    default: return nil
    }
  }

  private typealias Key = (Value) throws -> Value

  /// What values are compared by: themselves or one of their attributes; letters without regard to case unless `exact`.
  private func key(_ path: Value?, exact: Bool, standard: Value? = nil) -> Key {
    { [unowned self] value in
      let found = try path.map { $0.isNone ? value : try self.look(value, $0, standard: standard) } ?? value
      if !exact, let text = found.text { return .string(try text.lowercased()) }
      return found
    }
  }

  /// The same for several attributes separated by commas.
  private func sortKeys(_ path: Value?, exact: Bool) throws -> [Key] {
    guard let text = path?.text else { return [key(path, exact: exact)] }
    return try text.split(at: ",").map { key(.string($0), exact: exact) }
  }

  /// Sorted stably; equal values keep their order, also when descending.
  private func sorted(_ values: [Value], by keys: [Key], descending: Bool) throws -> [Value] {
    let keyed = try values.map { value in (value, try keys.map { try $0(value) }) }
    let order = try keyed.indices.sorted { first, second in
      for (a, b) in zip(keyed[first].1, keyed[second].1) {
        let sign = try areEqual(a, b) ? 0 : try self.order(a, b) ?? 0
        if sign != 0 { return descending ? sign > 0 : sign < 0 }
      }
      return first < second
    }
    return order.map { keyed[$0].0 }
  }

  private func unique(_ values: [Value], _ key: Key) throws -> Value {
    var seen = Set<Value>()
    var kept: [Value] = []
    for value in values {
      let key = try key(value)
      guard key.isHashable else { throw TemplateProblem("unhashable type: '\(key.typeName)'") }
      try charge(for: key)
      if seen.insert(key).inserted { kept.append(value) }
    }
    return .generator(try generator(over: .list(try Items(kept))))
  }

  private func extreme(_ values: [Value], _ key: Key, isLargest: Bool) throws -> Value {
    guard var best = values.first else { return .undefined(.hint("No aggregated item, sequence was empty.")) }
    var bestKey = try key(best)
    for value in values.dropFirst() {
      let other = try key(value)
      if let sign = try order(other, bestKey), isLargest ? sign > 0 : sign < 0 { (best, bestKey) = (value, other) }
    }
    return best
  }

  private func grouped(_ values: [Value], _ taken: [Value?]) throws -> Value {
    let exact = taken[2]?.isTrue ?? false
    let standard = taken[1].flatMap { $0.isNone ? nil : $0 }
    let key = key(taken[0], exact: exact, standard: standard)
    var groups: [(key: Value, values: [Value])] = []
    for value in try sorted(values, by: [key], descending: false) {
      let current = try key(value)
      if let last = groups.last, try areEqual(last.key, current) {
        groups[groups.count - 1].values.append(value)
      } else {
        groups.append((current, [value]))
      }
    }
    let shown = self.key(taken[0], exact: true, standard: standard)
    return .list(
      try Items(
        try groups.map { .tuple(try Items([try shown($0.values[0]), .list(try Items($0.values))])) }))
  }
}
