/// Filters that take a value and give another: `value | name(arguments)`.
extension Interpreter {
  func filter(_ name: String, _ value: Value, _ arguments: Arguments) throws -> Value {
    try charge(value.cost)
    var arguments = arguments
    guard
      let result = try textFilter(name, value, &arguments) ?? sequenceFilter(name, value, &arguments)
        ?? numberFilter(name, value, &arguments) ?? orderFilter(name, value, &arguments)
    else { throw TemplateProblem("No filter named '\(name)'") }
    try charge(result.cost)
    return result
  }

  static let filterNames: Set<String> = [
    "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first",
    "float", "forceescape", "format", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower",
    "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr",
    "slice", "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount",
  ]
}

// MARK: Text

extension Interpreter {
  private func textFilter(_ name: String, _ value: Value, _ arguments: inout Arguments) throws -> Value? {
    switch name {
    case "trim":
      let taken = try arguments.take("chars", by: name)
      let unwanted = try taken[0].flatMap { $0.isNone ? nil : try $0.string(for: name) }
      return .string(try str(value).stripped(of: unwanted))
    case "upper": return .string(try str(value).uppercased())
    case "lower": return .string(try str(value).lowercased())
    case "capitalize": return .string(try str(value).capitalized())
    case "title": return .string(try wordsCapitalized(try str(value)))
    case "string": return .string(try str(value))
    case "safe": return .string(try str(value).markup)
    case "escape", "e": return .string(try str(value).asMarkup())
    case "forceescape": return .string(try str(value).escaped())
    case "replace":
      let taken = try arguments.take("old", "new", "count", by: name)
      let text = try str(value)
      let old = try str(taken[0] ?? .none)
      try chargeSearch(text, old)
      let most = try taken[2].flatMap { $0.isNone ? nil : try $0.integer(for: name) } ?? -1
      return .string(try text.replacing(old, with: try str(taken[1] ?? .none), most: most))
    case "center":
      let width = try arguments.take("width", by: name)[0]?.integer(for: name) ?? 80
      return .string(try str(value).padded(to: width, with: " ", .center))
    case "indent": return .string(try indented(value, &arguments))
    case "truncate": return .string(try truncated(try str(value), &arguments))
    case "wordcount": return .int(words(in: try str(value)))
    case "format":
      let text = try str(value)
      if arguments.named.isEmpty { return .string(try percentFormat(text, .tuple(try Items(arguments.positional)))) }
      return .string(try percentFormat(text, try Value(named: arguments.named)))
    case "tojson": return .string(try json(value, &arguments))
    case "join":
      let taken = try arguments.take("d", "attribute", by: name)
      var values = try elements(of: value)
      if let attribute = taken[1], !attribute.isNone { values = try values.map { try look($0, attribute) } }
      return .string(try joined(try values.map { try str($0) }, separator: try str(taken[0] ?? .string(""))))
    default: return nil
    }
  }

  /// Every word begins with a capital; words are separated by white space, hyphens and opening brackets.
  private func wordsCapitalized(_ text: Text) throws -> Text {
    let all = text.scalars
    let lowered = try text.lowercased().scalarCount == all.count ? try text.lowercased().scalars : all
    return try text.mapScalars { scalar, index in
      let startsWord = index == 0 || all[index - 1].isPythonSpace || "-({[<".unicodeScalars.contains(all[index - 1])
      return startsWord ? scalar.properties.uppercaseMapping : String(lowered[index])
    }
  }

  private func words(in text: Text) -> Int {
    var count = 0
    var isInside = false
    for scalar in text.scalars {
      let properties = scalar.properties
      let isWord = properties.isAlphabetic || properties.numericType != nil || scalar == "_"
      if isWord, !isInside { count += 1 }
      isInside = isWord
    }
    return count
  }

  private func indented(_ value: Value, _ arguments: inout Arguments) throws -> Text {
    let taken = try arguments.take("width", "first", "blank", by: "indent")
    let text = try value.string(for: "indent")
    let width = taken[0] ?? .int(4)
    let indent = try width.text ?? Text("").padded(to: try width.integer(for: "indent"), with: " ", .left)
    let indentsBlank = taken[2]?.isTrue ?? false
    var whole = TextBuilder()
    try whole.append(text)
    try whole.append("\n")
    var builder = TextBuilder()
    for (index, line) in try whole.text.lines().enumerated() {
      if index > 0 { try builder.append("\n") }
      let isIndented = index == 0 ? taken[1]?.isTrue ?? false : indentsBlank || !line.isEmpty
      if isIndented { try builder.append(indent) }
      try builder.append(line)
    }
    return builder.text
  }

  private func truncated(_ text: Text, _ arguments: inout Arguments) throws -> Text {
    let taken = try arguments.take("length", "killwords", "end", "leeway", by: "truncate")
    let length = try taken[0]?.integer(for: "truncate") ?? 255
    let end = try taken[2]?.string(for: "truncate") ?? "..."
    let leeway = try taken[3].flatMap { $0.isNone ? nil : try $0.integer(for: "truncate") } ?? 5
    guard length >= end.scalarCount, leeway >= 0 else { throw TemplateProblem("truncate() needs a larger length") }
    let offsets = text.boundaries
    if offsets.count - 1 <= length || offsets.count - 1 - length <= leeway { return text }
    var kept = text.slice(0..<offsets[length - end.scalarCount])
    if !(taken[1]?.isTrue ?? false), let space = kept.findLast(" ") { kept = kept.slice(0..<space) }
    var builder = TextBuilder()
    try builder.append(kept)
    try builder.append(end)
    return builder.text
  }

  private func json(_ value: Value, _ arguments: inout Arguments) throws -> Text {
    let taken = try arguments.take("ensure_ascii", "indent", "separators", "sort_keys", by: "tojson")
    var options = JSONText()
    options.ensureASCII = taken[0]?.isTrue ?? false
    options.sortKeys = taken[3]?.isTrue ?? false
    if let indent = taken[1], !indent.isNone {
      if let text = indent.text {
        options.indent = text.string
      } else {
        options.indent = String(repeating: " ", count: min(max(try indent.integer(for: "tojson"), 0), 1000))
      }
      options.itemSeparator = ","
    }
    if let separators = taken[2], !separators.isNone {
      let pair = try elements(of: separators)
      guard pair.count == 2 else { throw TemplateProblem("tojson() needs two separators") }
      options.itemSeparator = try pair[0].string(for: "tojson").string
      options.keySeparator = try pair[1].string(for: "tojson").string
    }
    var builder = TextBuilder()
    try options.write(value, to: &builder, self)
    return builder.text
  }
}

// MARK: Numbers

extension Interpreter {
  private func numberFilter(_ name: String, _ value: Value, _ arguments: inout Arguments) throws -> Value? {
    switch name {
    case "int":
      let taken = try arguments.take("default", "base", by: name)
      return try integer(value, base: try taken[1]?.integer(for: name) ?? 10) ?? taken[0] ?? .int(0)
    case "float":
      let taken = try arguments.take("default", by: name)
      if case .undefined(let absence) = value { throw TemplateProblem(absence.message) }
      let number = value.number?.double ?? value.text.flatMap { pythonFloat($0.string) }
      return number.map { .float($0) } ?? taken[0] ?? .float(0)
    case "abs":
      switch value.number {
      case .int(let number)?: return .int(number == .min ? .max : abs(number))
      case .float(let number)?: return .float(number.magnitude)
      case nil: throw TemplateProblem("bad operand type for abs(): '\(value.typeName)'")
      }
    case "round": return try rounded(value, try arguments.take("precision", "method", by: name))
    default: return nil
    }
  }
}
