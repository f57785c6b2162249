/// The methods of `str`.
extension Interpreter {
  func stringMethod(_ name: String, _ text: Text) throws -> Method? {
    try charge(text.cost)
    return try cuttingMethod(name, text) ?? searchingMethod(name, text) ?? caseMethod(name, text)
      ?? layoutMethod(name, text) ?? unsupported(name)
  }

  private func unsupported(_ name: String) throws -> Method? {
    let others = ["encode", "expandtabs", "format_map", "isidentifier", "istitle", "maketrans", "translate"]
    if others.contains(name) { throw TemplateProblem("the method '\(name)' of strings is not supported") }
    return nil
  }

  private func cuttingMethod(_ name: String, _ text: Text) throws -> Method? {
    switch name {
    case "strip", "lstrip", "rstrip":
      return { _, arguments in
        let unwanted = try arguments.take("chars", by: name)[0].flatMap { $0.isNone ? nil : try $0.string(for: name) }
        return .string(text.stripped(of: unwanted, left: name != "rstrip", right: name != "lstrip"))
      }
    case "split", "rsplit":
      return { interpreter, arguments in
        let taken = try arguments.take("sep", "maxsplit", by: name)
        let most = try taken[1]?.integer(for: name) ?? -1
        if let separator = taken[0], !separator.isNone {
          return try interpreter.split(text, try separator.string(for: name), most, fromRight: name == "rsplit")
        }
        return .list(try Items(try text.splitAtSpace(most: most, fromRight: name == "rsplit").map { .string($0) }))
      }
    case "splitlines":
      return { _, arguments in
        let keepEnds = try arguments.take("keepends", by: name)[0]?.isTrue ?? false
        return .list(try Items(try text.lines(keepEnds: keepEnds).map { .string($0) }))
      }
    case "partition", "rpartition":
      return { interpreter, arguments in
        let separator = try (try arguments.take("sep", by: name)[0] ?? .none).string(for: name)
        if separator.isEmpty { throw TemplateProblem("empty separator") }
        try interpreter.chargeSearch(text, separator)
        let isLast = name == "rpartition"
        guard let at = isLast ? text.findLast(separator) : text.find(separator) else {
          return .tuple(
            try Items(isLast ? [.string(""), .string(""), .string(text)] : [.string(text), .string(""), .string("")]))
        }
        let end = at + separator.bytes.count
        let after = text.slice(end..<text.bytes.count)
        return .tuple(try Items([.string(text.slice(0..<at)), .string(separator), .string(after)]))
      }
    case "removeprefix", "removesuffix":
      return { _, arguments in
        let affix = try (try arguments.take("affix", by: name)[0] ?? .none).string(for: name)
        let count = text.bytes.count
        if name == "removeprefix" {
          return .string(text.hasPrefix(affix) ? text.slice(affix.bytes.count..<count) : text)
        }
        return .string(text.hasSuffix(affix) ? text.slice(0..<count - affix.bytes.count) : text)
      }
    default: return nil
    }
  }

  private func split(_ text: Text, _ separator: Text, _ most: Int, fromRight: Bool) throws -> Value {
    try chargeSearch(text, separator)
    return .list(try Items(try text.split(at: separator, most: most, fromRight: fromRight).map { .string($0) }))
  }

  private func searchingMethod(_ name: String, _ text: Text) throws -> Method? {
    switch name {
    case "startswith", "endswith":
      return { _, arguments in
        let taken = try arguments.take("prefix", "start", "end", by: name)
        let part = try text.part(taken[1], taken[2])
        let affixes: [Value]
        if case .tuple(let items)? = taken[0] { affixes = items.values } else { affixes = [taken[0] ?? .none] }
        return .bool(
          try affixes.contains { affix in
            let affix = try affix.string(for: name)
            return name == "startswith" ? part.text.hasPrefix(affix) : part.text.hasSuffix(affix)
          })
      }
    case "find", "rfind", "index", "rindex", "count":
      return { interpreter, arguments in
        let taken = try arguments.take("sub", "start", "end", by: name)
        let needle = try (taken[0] ?? .none).string(for: name)
        let part = try text.part(taken[1], taken[2])
        try interpreter.chargeSearch(part.text, needle)
        if name == "count" { return .int(part.isOutside ? 0 : part.text.occurrences(of: needle)) }
        let found = name.hasPrefix("r") ? part.text.findLast(needle) : part.text.find(needle)
        if let found, !part.isOutside { return .int(part.start + part.text.slice(0..<found).scalarCount) }
        if name.hasSuffix("index") { throw TemplateProblem("substring not found") }
        return .int(-1)
      }
    case "replace":
      return { interpreter, arguments in
        let taken = try arguments.take("old", "new", "count", by: name)
        let old = try (taken[0] ?? .none).string(for: name)
        let new = try (taken[1] ?? .none).string(for: name)
        try interpreter.chargeSearch(text, old)
        return .string(try text.replacing(old, with: new, most: try taken[2]?.integer(for: name) ?? -1))
      }
    case "join":
      return { interpreter, arguments in
        let values = try interpreter.elements(of: try arguments.take("iterable", by: name)[0] ?? .none)
        return .string(
          try interpreter.joined(
            try values.enumerated().map { index, value in
              guard let text = value.text else {
                throw TemplateProblem("sequence item \(index): expected str instance, \(value.typeName) found")
              }
              return text
            }, separator: text))
      }
    case "format": return { interpreter, arguments in .string(try interpreter.braceFormat(text, arguments)) }
    default: return nil
    }
  }

  func joined(_ pieces: [Text], separator: Text) throws -> Text {
    var builder = TextBuilder()
    for (index, piece) in pieces.enumerated() {
      if index > 0 { try builder.append(separator) }
      try builder.append(piece)
    }
    try charge(builder.count >> 4)
    return builder.text
  }

  private func caseMethod(_ name: String, _ text: Text) throws -> Method? {
    func test(_ holds: @escaping (Unicode.Scalar) -> Bool) -> Method {
      { _, _ in .bool(!text.isEmpty && text.scalars.allSatisfy(holds)) }
    }
    switch name {
    case "upper": return { _, _ in .string(try text.uppercased()) }
    case "lower": return { _, _ in .string(try text.lowercased()) }
    case "capitalize": return { _, _ in .string(try text.capitalized()) }
    case "title": return { _, _ in .string(try text.titled()) }
    case "swapcase": return { _, _ in .string(try text.caseSwapped()) }
    case "casefold": return { _, _ in .string(try text.lowercased().replacing("ß", with: "ss")) }
    case "isupper", "islower": return { _, _ in .bool(text.isCase(upper: name == "isupper")) }
    case "isspace": return test(\.isPythonSpace)
    case "isdigit": return test { [.digit, .decimal].contains($0.properties.numericType) }
    case "isdecimal": return test { $0.properties.numericType == .decimal }
    case "isnumeric": return test { $0.properties.numericType != nil }
    case "isalpha": return test(\.isPythonLetter)
    case "isalnum": return test { $0.isPythonLetter || $0.properties.numericType != nil }
    case "isascii": return { _, _ in .bool(text.isASCII) }
    case "isprintable": return { _, _ in .bool(text.scalars.allSatisfy(\.isPythonPrintable)) }
    default: return nil
    }
  }

  private func layoutMethod(_ name: String, _ text: Text) throws -> Method? {
    switch name {
    case "center", "ljust", "rjust":
      return { _, arguments in
        let taken = try arguments.take("width", "fillchar", by: name)
        let width = try (taken[0] ?? .none).integer(for: name)
        let fill = try taken[1]?.string(for: name) ?? " "
        guard fill.scalarCount == 1 else {
          throw TemplateProblem("The fill character must be exactly one character long")
        }
        return .string(
          try text.padded(to: width, with: fill, name == "ljust" ? .left : name == "rjust" ? .right : .center))
      }
    case "zfill":
      return { _, arguments in
        let width = try (try arguments.take("width", by: name)[0] ?? .none).integer(for: name)
        let hasSign = text.hasPrefix("-") || text.hasPrefix("+")
        let digits = text.slice((hasSign ? 1 : 0)..<text.bytes.count)
        var builder = TextBuilder()
        try builder.append(text, 0..<(hasSign ? 1 : 0))
        try builder.append(try digits.padded(to: hasSign ? width &- 1 : width, with: "0", .right))
        return .string(builder.text)
      }
    default: return nil
    }
  }
}

extension Text {
  /// On which side the text stands when it is padded.
  enum Alignment { case left, right, center }

  func padded(to width: Int, with fill: Text, _ alignment: Alignment) throws -> Text {
    let length = scalarCount
    guard width > length else { return self }
    let missing = width - length
    if missing > Text.longest { throw TemplateProblem("it makes a string of more than 16 MiB") }
    let before = alignment == .left ? 0 : alignment == .right ? missing : missing / 2 + (missing & width & 1)
    var builder = TextBuilder()
    for _ in 0..<before { try builder.append(fill) }
    try builder.append(self)
    for _ in before..<missing { try builder.append(fill) }
    return builder.text
  }

  /// The part between two optional indices of scalars, with the index that it starts at.
  fileprivate func part(_ from: Value?, _ to: Value?) throws -> (text: Text, start: Int, isOutside: Bool) {
    func given(_ value: Value?) throws -> Int? {
      guard let value, !value.isNone else { return nil }
      return try value.integer(for: "find")
    }
    guard let from = try given(from) ?? (try given(to) == nil ? nil : 0) else { return (self, 0, false) }
    let offsets = boundaries
    let count = offsets.count - 1
    let start = from < 0 ? max(from &+ count, 0) : from
    let end = try given(to).map { $0 < 0 ? max($0 &+ count, 0) : min($0, count) } ?? count
    if start > end { return ("", start, true) }
    return (slice(offsets[start]..<offsets[end]), start, false)
  }
}

extension Unicode.Scalar {
  /// What Python's `str.isalpha` holds to be a letter.
  fileprivate var isPythonLetter: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }
}
