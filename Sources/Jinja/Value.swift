import Ground
import OrderedCollections

/// What a template computes with: Python's values, as far as chat templates meet them.
public enum Value {
  case undefined(Absence)
  case none
  case bool(Bool)
  case int(Int)
  case float(Double)
  case string(Text)
  case list(Items)
  case tuple(Items)
  case dict(Mapping)
  case view(View)
  case range(Span)
  case namespace(Namespace)
  case generator(Generator)
  case function(Function)
  case loop(Loop)
}

/// Why a value is undefined; becomes the message when it is used nevertheless.
public indirect enum Absence {
  case variable(String)
  case attribute(of: String, String)
  case element(of: String, String)
  case hint(String)

  var message: String {
    switch self {
    case .variable(let name): "'\(name)' is undefined"
    case .attribute(let type, let name): "'\(type)' has no attribute '\(name)'"
    case .element(let type, let index): "'\(type)' has no element \(index)"
    case .hint(let text): text
    }
  }
}

/// How deep containers stand in one another and how many values they hold, shared ones counted each time.
struct Extent {
  var depth = 0
  var weight = 1

  static let deepest = 100
  static let heaviest = 1 << 22

  /// - Throws: `TemplateProblem` for a container that would take a recursive walk too far.
  static func of(_ values: some Sequence<Value>) throws -> Extent {
    var extent = Extent(depth: 0, weight: 1)
    for value in values {
      let inner = value.extent
      extent.depth = max(extent.depth, inner.depth)
      extent.weight += inner.weight
    }
    extent.depth += 1
    if extent.depth > deepest { throw TemplateProblem("it nests values more than \(deepest) deep") }
    if extent.weight > heaviest { throw TemplateProblem("it makes a value of more than \(heaviest) parts") }
    return extent
  }
}

/// The elements of a list or tuple, which never change: the sandbox forbids it.
public final class Items {
  let values: [Value]
  let extent: Extent

  init(_ values: [Value]) throws {
    self.values = values
    extent = try Extent.of(values)
  }
}

/// The entries of a dictionary in order, which never change.
public final class Mapping {
  let entries: OrderedDictionary<Value, Value>
  let extent: Extent

  init(_ entries: OrderedDictionary<Value, Value>) throws {
    self.entries = entries
    extent = try Extent.of([entries.keys.elements, Array(entries.values)].joined())
  }

  subscript(key: String) -> Value? { entries[.string(Text(key))] }
}

/// What `keys()`, `values()` and `items()` of a dictionary give.
public final class View {
  enum Kind: String { case keys, values, items }
  let kind: Kind
  let items: Items

  init(_ kind: Kind, _ mapping: Mapping) throws {
    self.kind = kind
    items =
      switch kind {
      case .keys: try Items(Array(mapping.entries.keys))
      case .values: try Items(Array(mapping.entries.values))
      case .items: try Items(mapping.entries.map { .tuple(try Items([$0.key, $0.value])) })
      }
  }
}

/// `range(start, stop, step)`.
public struct Span: Equatable {
  let start: Int32
  let stop: Int32
  let step: Int32

  var count: Int {
    let distance = step > 0 ? Int(stop) - Int(start) : Int(start) - Int(stop)
    let stride = abs(Int(step))
    return distance <= 0 ? 0 : (distance + stride - 1) / stride
  }

  func element(_ index: Int) -> Value { .int(Int(start) + index * Int(step)) }
}

/// What `namespace(…)` makes: attributes that `{% set ns.name = … %}` may change.
public final class Namespace {
  var entries: OrderedDictionary<String, Value> = [:]
}

/// Values made one by one, once: what filters such as `map` and `select` give.
public final class Generator {
  private let advance: (Interpreter) throws -> Value?
  /// How many generators stand behind one another, and how deep the values that they draw from are.
  let depth: Int

  init(drawingFrom depth: Int, _ advance: @escaping (Interpreter) throws -> Value?) throws {
    self.advance = advance
    self.depth = depth + 1
    if self.depth > Extent.deepest { throw TemplateProblem("it chains more than \(Extent.deepest) filters") }
  }

  func next(_ interpreter: Interpreter) throws -> Value? {
    try interpreter.charge(1)
    return try advance(interpreter)
  }

  /// The values that are left.
  func rest(_ interpreter: Interpreter) throws -> [Value] {
    var values: [Value] = []
    while let value = try next(interpreter) { values.append(value) }
    return values
  }
}

/// Something that can be called.
public final class Function {
  let name: String
  /// How deep the value is that a method belongs to.
  let depth: Int
  private let body: (Interpreter, inout Arguments) throws -> Value

  init(_ name: String, depth: Int = 0, _ body: @escaping (Interpreter, inout Arguments) throws -> Value) {
    self.name = name
    self.depth = depth + 1
    self.body = body
  }

  func callAsFunction(_ interpreter: Interpreter, _ arguments: Arguments) throws -> Value {
    var arguments = arguments
    return try body(interpreter, &arguments)
  }
}

extension Value {
  var extent: Extent {
    switch self {
    case .string(let text): Extent(depth: 0, weight: 1 + text.cost)
    case .list(let items), .tuple(let items): items.extent
    case .dict(let mapping): mapping.extent
    case .view(let view): view.items.extent
    case .generator(let generator): Extent(depth: generator.depth, weight: 1)
    case .function(let function): Extent(depth: function.depth, weight: 1)
    default: Extent()
    }
  }

  /// The work of going through the value itself, without what stands in its elements.
  var cost: Int {
    switch self {
    case .string(let text): text.cost
    case .list(let items), .tuple(let items): items.values.count
    case .dict(let mapping): mapping.entries.count
    case .view(let view): view.items.values.count
    default: 0
    }
  }

  /// Python's name of the type.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .none: "NoneType"
    case .bool: "bool"
    case .int: "int"
    case .float: "float"
    case .string: "str"
    case .list: "list"
    case .tuple: "tuple"
    case .dict: "dict"
    case .view(let view): "dict_" + view.kind.rawValue
    case .range: "range"
    case .namespace: "Namespace"
    case .generator: "generator"
    case .function: "function"
    case .loop: "LoopContext"
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }
  var isNone: Bool { if case .none = self { true } else { false } }
  var text: Text? { if case .string(let text) = self { text } else { nil } }

  static func string(_ string: String) -> Value { .string(Text(string)) }
}

extension Value {
  /// A value read from JSON; objects keep their order. All strings but keys carry the mark, where there is one.
  /// - Throws: `Fault(.badData)` for JSON that is nested too deep or too large to hand to a template.
  public init(_ json: JSON, mark: Int? = nil) throws {
    do {
      self = try Value.converted(json, mark, depth: 0)
    } catch let problem as TemplateProblem {
      throw Fault(.badData, "a value is too large for a chat template: \(problem.message)", "make it smaller")
    }
  }

  /// An object with the given members, in order.
  public init(members: [(String, Value)]) throws {
    do {
      let pairs = members.map { (Value.string($0.0), $0.1) }
      self = .dict(try Mapping(OrderedDictionary(pairs, uniquingKeysWith: { $1 })))
    } catch let problem as TemplateProblem {
      throw Fault(.badData, "a value is too large for a chat template: \(problem.message)", "make it smaller")
    }
  }

  /// A list of the given values.
  public init(list values: [Value]) throws {
    do {
      self = .list(try Items(values))
    } catch let problem as TemplateProblem {
      throw Fault(.badData, "a value is too large for a chat template: \(problem.message)", "make it smaller")
    }
  }

  /// A string all of which carries a mark that the rendering tells the places of.
  public static func marked(_ string: String, _ mark: Int) -> Value { .string(Text(string, mark: mark)) }

  /// A string of pieces, each with a mark of its own.
  public static func marked(_ pieces: [(text: String, mark: Int)]) throws -> Value {
    var builder = TextBuilder()
    do {
      for piece in pieces { try builder.append(Text(piece.text, mark: piece.mark)) }
    } catch let problem as TemplateProblem {
      throw Fault(.badData, "a value is too large for a chat template: \(problem.message)", "make it smaller")
    }
    return .string(builder.text)
  }

  private static func converted(_ json: JSON, _ mark: Int?, depth: Int) throws -> Value {
    if depth > Extent.deepest { throw TemplateProblem("it nests values more than \(Extent.deepest) deep") }
    switch json {
    case .null: return .none
    case .bool(let flag): return .bool(flag)
    case .integer(let value): return .int(value)
    case .number(let value): return .float(value)
    case .string(let value): return .string(mark.map { Text(value, mark: $0) } ?? Text(value))
    case .array(let values): return .list(try Items(values.map { try converted($0, mark, depth: depth + 1) }))
    case .object(let members):
      var entries = OrderedDictionary<Value, Value>(minimumCapacity: members.count)
      for (key, value) in members { entries[.string(Text(key))] = try converted(value, mark, depth: depth + 1) }
      return .dict(try Mapping(entries))
    }
  }
}
