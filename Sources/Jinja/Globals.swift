import Foundation
import OrderedCollections

/// A moment as `strftime_now` shows it.
public struct Moment: Sendable {
  /// Seconds since 1970.
  public var seconds: Int
  /// The zone that the moment is shown in.
  public var timeZone: TimeZone

  public init(seconds: Int, timeZone: TimeZone) {
    self.seconds = seconds
    self.timeZone = timeZone
  }

  /// The clock and the zone of this machine.
  public static var now: Moment { Moment(seconds: Int(Date().timeIntervalSince1970), timeZone: .current) }

  /// The moment laid out by C's `strftime` in English.
  func formatted(_ format: String) throws -> String {
    var local = time_t(seconds + timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
    var parts = tm()
    gmtime_r(&local, &parts)
    if format.isEmpty { return "" }
    var buffer = [CChar](repeating: 0, count: 1024)
    let length = strftime(&buffer, buffer.count, format, &parts)
    if length == 0 { throw TemplateProblem("strftime_now() cannot show the time as '\(format.prefix(40))'") }
    return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension Scope {
  /// The names that every chat template may use.
  static func globals() -> Scope {
    let scope = Scope(parent: nil)
    let all: [(String, Interpreter.Method)] = [
      ("range", range), ("dict", dictionary), ("namespace", namespace), ("raise_exception", refuse),
      ("strftime_now", now), ("cycler", cycler), ("joiner", joiner),
    ]
    for (name, body) in all { scope.variables[name] = .function(Function(name, body)) }
    return scope
  }

  private static func range(_: Interpreter, _ arguments: inout Arguments) throws -> Value {
    let numbers = try arguments.positional.map { value -> Int32 in
      guard let small = Int32(exactly: try value.integer(for: "range")) else { throw rangeTooLarge }
      return small
    }
    guard (1...3).contains(numbers.count) else { throw TemplateProblem("range() takes 1 to 3 arguments") }
    let span = Span(
      start: numbers.count == 1 ? 0 : numbers[0], stop: numbers.count == 1 ? numbers[0] : numbers[1],
      step: numbers.count == 3 ? numbers[2] : 1)
    if span.step == 0 { throw TemplateProblem("range() arg 3 must not be zero") }
    if span.count > 100_000 { throw rangeTooLarge }
    return .range(span)
  }

  private static var rangeTooLarge: TemplateProblem {
    TemplateProblem("Range too big. The sandbox blocks ranges larger than 100000.")
  }

  /// The entries that `dict(…)` and `namespace(…)` are made of.
  private static func entries(
    _ interpreter: Interpreter, _ arguments: Arguments
  ) throws -> OrderedDictionary<Value, Value> {
    var entries: OrderedDictionary<Value, Value> = [:]
    if arguments.positional.count > 1 { throw TemplateProblem("dict expected at most 1 argument") }
    switch arguments.positional.first {
    case nil: break
    case .dict(let mapping)?: entries = mapping.entries
    case let pairs?:
      for pair in try interpreter.elements(of: pairs) {
        let both = try interpreter.elements(of: pair)
        guard both.count == 2, both[0].isHashable else { throw TemplateProblem("dict() needs pairs of key and value") }
        entries[both[0]] = both[1]
      }
    }
    for (name, value) in arguments.named { entries[.string(name)] = value }
    return entries
  }

  private static func dictionary(_ interpreter: Interpreter, _ arguments: inout Arguments) throws -> Value {
    .dict(try Mapping(try entries(interpreter, arguments)))
  }

  private static func namespace(_ interpreter: Interpreter, _ arguments: inout Arguments) throws -> Value {
    let namespace = Namespace()
    for (key, value) in try entries(interpreter, arguments) {
      try namespace.set(try key.string(for: "namespace").string, value)
    }
    interpreter.keep(namespace)
    return .namespace(namespace)
  }

  private static func refuse(_ interpreter: Interpreter, _ arguments: inout Arguments) throws -> Value {
    let message = try arguments.take("message", by: "raise_exception")[0] ?? .string("")
    throw TemplateProblem(try interpreter.str(message).string, isRefusal: true)
  }

  private static func now(_ interpreter: Interpreter, _ arguments: inout Arguments) throws -> Value {
    let format = try (try arguments.take("format", by: "strftime_now")[0] ?? .none).string(for: "strftime_now")
    return .string(try interpreter.clock().formatted(format.string))
  }

  private static func cycler(_ interpreter: Interpreter, _ arguments: inout Arguments) throws -> Value {
    let values = arguments.positional
    if values.isEmpty { throw TemplateProblem("at least one item has to be provided") }
    let cycler = Namespace()
    interpreter.keep(cycler)
    var position = 0
    cycler.entries["current"] = values[0]
    cycler.entries["next"] = .function(
      Function("next") { [unowned cycler] _, _ in
        defer {
          position = (position + 1) % values.count
          cycler.entries["current"] = values[position]
        }
        return values[position]
      })
    cycler.entries["reset"] = .function(
      Function("reset") { [unowned cycler] _, _ in
        position = 0
        cycler.entries["current"] = values[0]
        return .none
      })
    return .namespace(cycler)
  }

  private static func joiner(_: Interpreter, _ arguments: inout Arguments) throws -> Value {
    let separator = try arguments.take("sep", by: "joiner")[0] ?? .string(", ")
    var isUsed = false
    return .function(
      Function("joiner") { _, _ in
        defer { isUsed = true }
        return isUsed ? separator : .string("")
      })
  }
}
