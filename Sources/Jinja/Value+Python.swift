/// Truth, equality, order and hashing as Python defines them.
extension Value {
  /// `bool(value)`.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let flag): flag
    case .int(let value): value != 0
    case .float(let value): value != 0
    case .string(let text): !text.isEmpty
    case .list(let items), .tuple(let items): !items.values.isEmpty
    case .dict(let mapping): !mapping.entries.isEmpty
    case .view(let view): !view.items.values.isEmpty
    case .range(let span): span.count > 0
    case .namespace, .generator, .function, .loop: true
    }
  }

  /// The number that a number or truth value stands for.
  var number: Number? {
    switch self {
    case .bool(let flag): .int(flag ? 1 : 0)
    case .int(let value): .int(value)
    case .float(let value): .float(value)
    default: nil
    }
  }

  /// Whether Python would take it as the key of a dictionary.
  var isHashable: Bool {
    switch self {
    case .list, .dict, .view: false
    case .tuple(let items): items.values.allSatisfy(\.isHashable)
    default: true
    }
  }

  /// Whether both are the same object, for what a template can tell of it.
  func isSame(as other: Value) -> Bool {
    switch (self, other) {
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): a === b
    case (.dict(let a), .dict(let b)): a === b
    case (.int, .int), (.bool, .bool), (.float, .float), (.string, .string): self == other
    case (.none, .none): true
    case (.namespace(let a), .namespace(let b)): a === b
    case (.function(let a), .function(let b)): a === b
    case (.generator(let a), .generator(let b)): a === b
    case (.loop(let a), .loop(let b)): a === b
    case (.view(let a), .view(let b)): a === b
    default: false
    }
  }
}

/// A Python number.
enum Number {
  case int(Int)
  case float(Double)

  var double: Double {
    switch self {
    case .int(let value): Double(value)
    case .float(let value): value
    }
  }

  var value: Value {
    switch self {
    case .int(let value): .int(value)
    case .float(let value): .float(value)
    }
  }

  /// Exact order of the two numbers, nil when one is not a number.
  static func order(_ a: Number, _ b: Number) -> Int? {
    switch (a, b) {
    case (.int(let x), .int(let y)): return x < y ? -1 : x > y ? 1 : 0
    case (.float(let x), .float(let y)): return x < y ? -1 : x > y ? 1 : x == y ? 0 : nil
    case (.int(let x), .float(let y)): return order(x, y)
    case (.float(let x), .int(let y)): return order(y, x).map { -$0 }
    }
  }

  private static func order(_ x: Int, _ y: Double) -> Int? {
    if y.isNaN { return nil }
    if y >= 0x1p63 { return -1 }
    if y < -0x1p63 { return 1 }
    let whole = Int(y.rounded(.down))
    return x < whole ? -1 : x > whole ? 1 : y > Double(whole) ? -1 : 0
  }
}

extension Value: Hashable {
  public static func == (a: Value, b: Value) -> Bool {
    switch (a, b) {
    case (.string(let x), .string(let y)): return x == y
    case (.undefined, .undefined), (.none, .none): return true
    case (.list(let x), .list(let y)), (.tuple(let x), .tuple(let y)): return x === y || x.values == y.values
    case (.dict(let x), .dict(let y)):
      return x === y
        || x.entries.count == y.entries.count && x.entries.allSatisfy { y.entries[$0.key] == $0.value }
    case (.view(let x), .view(let y)):
      return x === y
        || x.kind == y.kind && x.kind != .values && x.items.values.count == y.items.values.count
          && x.items.values.allSatisfy(y.items.values.contains)
    case (.range(let x), .range(let y)):
      return x.count == y.count && (x.count == 0 || x.start == y.start && (x.count == 1 || x.step == y.step))
    case (.namespace, .namespace), (.function, .function), (.generator, .generator), (.loop, .loop):
      return a.isSame(as: b)
    default:
      guard let x = a.number, let y = b.number else { return false }
      return Number.order(x, y) == 0
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .string(let text): hasher.combine(text)
    case .tuple(let items): for value in items.values { value.hash(into: &hasher) }
    case .namespace(let namespace): hasher.combine(ObjectIdentifier(namespace))
    case .function(let function): hasher.combine(ObjectIdentifier(function))
    case .generator(let generator): hasher.combine(ObjectIdentifier(generator))
    case .range(let span): hasher.combine(span.count)
    default: if let number { hasher.combine(number.double) }
    }
  }
}
