import CJansson
import Foundation
import OrderedCollections

/// A JSON value whose objects keep the order of the file.
public enum JSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSON])
  case object(OrderedDictionary<String, JSON>)
}

// MARK: Reading

extension JSON {
  /// Parses UTF-8 text that holds exactly one JSON value.
  /// - Throws: `Fault(.badData)` with line and column; `place` names the source in it.
  public init(parsing bytes: UnsafeRawBufferPointer, at place: String) throws {
    var problem = json_error_t()
    let flags = 0x4 | 0x10  // JSON_DECODE_ANY | JSON_ALLOW_NUL
    let text = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    var loaded = json_loadb(text, bytes.count, flags, &problem)
    if loaded == nil, json_error_code(&problem) == json_error_numeric_overflow {
      // tokenizer_config.json: model_max_length 10³⁰.
      let plain = JSON.writingWideIntegersAsReals(bytes)
      loaded = plain.withUnsafeBytes {
        json_loadb($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count, flags, &problem)
      }
      // What else is wrong is told by its place in the text as it is.
      if loaded == nil { loaded = json_loadb(text, bytes.count, flags | 0x8, &problem) }  // JSON_DECODE_INT_AS_REAL
    }
    guard let root = loaded else {
      let text = withUnsafeBytes(of: problem.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      throw Fault(
        .badData, "not valid JSON, line \(problem.line) column \(problem.column): \(text)", at: place,
        "correct the text there")
    }
    defer { json_decref(root) }
    self.init(jansson: root)
  }

  public init(parsing text: String, at place: String) throws {
    var text = text
    self = try text.withUTF8 { try JSON(parsing: UnsafeRawBufferPointer($0), at: place) }
  }

  /// Reads and parses a whole file.
  public init(contentsOf path: String) throws {
    let data = try readFile(path)
    self = try data.withUnsafeBytes { try JSON(parsing: $0, at: path) }
  }

  private init(jansson value: UnsafeMutablePointer<json_t>) {
    switch value.pointee.type {
    case JSON_OBJECT:
      var members = OrderedDictionary<String, JSON>(minimumCapacity: json_object_size(value))
      var iterator = json_object_iter(value)
      while let current = iterator {
        let key = String(cString: json_object_iter_key(current))
        members[key] = JSON(jansson: json_object_iter_value(current))
        iterator = json_object_iter_next(value, current)
      }
      self = .object(members)
    case JSON_ARRAY:
      self = .array((0..<json_array_size(value)).map { JSON(jansson: json_array_get(value, $0)) })
    case JSON_STRING:
      let bytes = UnsafeRawBufferPointer(start: json_string_value(value), count: json_string_length(value))
      self = .string(String(decoding: bytes, as: UTF8.self))
    case JSON_INTEGER: self = .integer(Int(json_integer_value(value)))
    case JSON_REAL: self = .number(json_real_value(value))
    case JSON_TRUE: self = .bool(true)
    case JSON_FALSE: self = .bool(false)
    default: self = .null
    }
  }
}

// MARK: Taking apart

extension JSON {
  public subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  /// What stands at a dotted path, such as `patient.age` or `boxes.0`; names that hold dots themselves come first.
  public func value(at path: String) -> JSON? {
    if let own = child(path) { return own }
    var end = path.endIndex
    while let dot = path[..<end].lastIndex(of: ".") {
      if let found = child(String(path[..<dot]))?.value(at: String(path[path.index(after: dot)...])) { return found }
      end = dot
    }
    return nil
  }

  /// The member of that name, or the item of that number, from 0.
  private func child(_ name: String) -> JSON? {
    guard case .array(let values) = self else { return self[name] }
    guard let number = Int(name), values.indices.contains(number) else { return nil }
    return values[number]
  }

  /// An object less some of its members.
  public func without(_ names: some Collection<String>) -> JSON {
    guard case .object(let members) = self else { return self }
    return .object(members.filter { !names.contains($0.key) })
  }

  /// An object with a member set.
  public func setting(_ name: String, to value: JSON) -> JSON {
    guard case .object(var members) = self else { return self }
    members[name] = value
    return .object(members)
  }

  public var object: OrderedDictionary<String, JSON>? {
    if case .object(let members) = self { members } else { nil }
  }
  public var array: [JSON]? { if case .array(let values) = self { values } else { nil } }
  public var string: String? { if case .string(let text) = self { text } else { nil } }
  public var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
  public var isNull: Bool { self == .null }

  /// The value as an integer; a real number counts when it has no fraction.
  public var integer: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// What kind of value this is, for messages.
  public var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .number: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

// MARK: Writing

extension JSON: CustomStringConvertible {
  /// One line of JSON. Reading it back gives the same value, floats to the last bit.
  public var description: String {
    var text = ""
    write(to: &text, indent: nil)
    return text
  }

  /// JSON on several lines, two spaces a level, with a newline at the end.
  public var indented: String {
    var text = ""
    write(to: &text, indent: 0)
    return text + "\n"
  }

  private func write(to text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let flag): text += flag ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value): text += value.isFinite ? value.description : "null"
    case .string(let value): JSON.quote(value, to: &text)
    case .array(let values):
      JSON.writeList(values, open: "[", close: "]", to: &text, indent: indent) { value, text, inner in
        value.write(to: &text, indent: inner)
      }
    case .object(let members):
      JSON.writeList(members.elements, open: "{", close: "}", to: &text, indent: indent) { member, text, inner in
        JSON.quote(member.key, to: &text)
        text += ": "
        member.value.write(to: &text, indent: inner)
      }
    }
  }

  private static func writeList<Items: Collection>(
    _ items: Items, open: String, close: String, to text: inout String, indent: Int?,
    _ writeItem: (Items.Element, inout String, Int?) -> Void
  ) {
    text += open
    var first = true
    for item in items {
      if !first { text += indent == nil ? ", " : "," }
      first = false
      if let indent { text += "\n" + String(repeating: "  ", count: indent + 1) }
      writeItem(item, &text, indent.map { $0 + 1 })
    }
    if let indent, !items.isEmpty { text += "\n" + String(repeating: "  ", count: indent) }
    text += close
  }

  private static func quote(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

// MARK: Literals

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(nilLiteral: ()) { self = .null }
  public init(arrayLiteral elements: JSON...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSON)...) {
    self = .object(OrderedDictionary(elements, uniquingKeysWith: { $1 }))
  }
}
