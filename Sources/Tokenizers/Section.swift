import Ground

/// One object of a `tokenizer.json` with its place in the file, which every fault about it names.
struct Section {
  let json: JSON
  let place: String

  /// - Throws: `Fault(.badConfiguration)` when `json` is no object.
  init(_ json: JSON, at place: String) throws {
    guard json.object != nil else {
      throw Fault(.badConfiguration, "\(json.kindName) where an object belongs", at: place, "correct the file")
    }
    self.json = json
    self.place = place
  }

  /// The `type` that says what sort of thing this object is.
  var type: String { get throws { try string("type") } }

  func string(_ key: String) throws -> String { try required(key, \.string, "a string") }
  func string(_ key: String, default value: String?) throws -> String? {
    try optional(key, \.string, "a string") ?? value
  }
  func bool(_ key: String) throws -> Bool { try required(key, \.bool, "true or false") }
  func bool(_ key: String, default value: Bool) throws -> Bool { try optional(key, \.bool, "true or false") ?? value }
  func array(_ key: String) throws -> [JSON] { try required(key, \.array, "a list") }

  func count(_ key: String) throws -> Int {
    let value = try required(key, \.integer, "a whole number")
    guard (0...Int(Int32.max)).contains(value) else { throw wrong(key, "a number from 0 on") }
    return value
  }

  func section(_ key: String) throws -> Section {
    try Section(required(key, { $0 }, "an object"), at: "\(place).\(key)")
  }

  /// The objects of a list.
  func sections(_ key: String) throws -> [Section] {
    try array(key).enumerated().map { try Section($1, at: "\(place).\(key)[\($0)]") }
  }

  /// A string of exactly one scalar.
  func scalar(_ key: String) throws -> Unicode.Scalar {
    let text = try string(key).unicodeScalars
    guard let scalar = text.first, text.count == 1 else { throw wrong(key, "one character") }
    return scalar
  }

  /// The fault that says that this sort of thing is not supported.
  func unsupported(_ what: String) -> Fault {
    Fault(.badConfiguration, "\(what) is not supported", at: place, "use a model whose tokenizer does without it")
  }

  private func optional<Value>(_ key: String, _ read: (JSON) -> Value?, _ form: String) throws -> Value? {
    guard let value = json[key], !value.isNull else { return nil }
    guard let value = read(value) else { throw wrong(key, form) }
    return value
  }

  private func required<Value>(_ key: String, _ read: (JSON) -> Value?, _ form: String) throws -> Value {
    guard let value = try optional(key, read, form) else { throw wrong(key, form) }
    return value
  }

  private func wrong(_ key: String, _ form: String) -> Fault {
    Fault(.badConfiguration, "'\(key)' must be \(form)", at: place, "correct the file")
  }
}
