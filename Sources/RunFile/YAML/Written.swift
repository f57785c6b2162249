/// A configuration on its way out: to YAML, to a hash, to a comparison.
indirect enum Written: Equatable, Sendable {
  /// A scalar as it stands in YAML.
  case scalar(String)
  case list([Written])
  case section([Line])

  struct Line: Equatable, Sendable {
    let name: String
    let meaning: String
    let affectsTraining: Bool
    let value: Written
  }
}

extension Written {
  /// Every single value under its key path, in order; `trainingOnly` leaves out what cannot change the weights.
  func leaves(trainingOnly: Bool, below path: String = "") -> [(path: String, text: String)] {
    let prefix = path.isEmpty ? "" : path + "."
    switch self {
    case .scalar(let text): return [(path, text)]
    case .list(let entries):
      if entries.isEmpty { return [(path, "[]")] }
      return entries.enumerated().flatMap { $1.leaves(trainingOnly: trainingOnly, below: prefix + String($0)) }
    case .section(let lines):
      return lines.filter { $0.affectsTraining || !trainingOnly }
        .flatMap { $0.value.leaves(trainingOnly: trainingOnly, below: prefix + $0.name) }
    }
  }

  /// Block YAML, two spaces a level; a key's meaning follows it as a comment where the key appears first.
  var yaml: String {
    var explained: Set<String> = []
    return yamlLines(explained: &explained).map { $0 + "\n" }.joined()
  }

  private func yamlLines(explained: inout Set<String>) -> [String] {
    guard case .section(let lines) = self else { return [flow] }
    return lines.flatMap { line in
      let comment = explained.insert(line.meaning).inserted && !line.meaning.isEmpty ? "  # \(line.meaning)" : ""
      switch line.value {
      case .section(let inner) where !inner.isEmpty:
        return [line.name + ":" + comment] + indented(line.value.yamlLines(explained: &explained))
      case .list(let entries) where entries.contains(where: \.isSection):
        let items = entries.flatMap { entry in
          entry.yamlLines(explained: &explained).enumerated().map { ($0 == 0 ? "- " : "  ") + $1 }
        }
        return [line.name + ":" + comment] + indented(items)
      default: return [line.name + ": " + line.value.flow + comment]
      }
    }
  }

  private var isSection: Bool { if case .section = self { true } else { false } }

  /// On one line, as in JSON.
  private var flow: String {
    switch self {
    case .scalar(let text): text
    case .list(let entries): "[" + entries.map(\.flow).joined(separator: ", ") + "]"
    case .section(let lines): "{" + lines.map { $0.name + ": " + $0.value.flow }.joined(separator: ", ") + "}"
    }
  }
}

private func indented(_ lines: [String]) -> [String] { lines.map { "  " + $0 } }

extension Written {
  /// A string, in quotes wherever it could be read as something else.
  static func text(_ text: String) -> Written {
    let starts = text.first.map { $0.isASCII && ($0.isLetter || "/._".contains($0)) } ?? false
    let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"'#&*!|>%@`{}[],:\\?=~".utf8.contains($0) }
    let hasOtherMeaning = Scalar.isNull(text) || Scalar.boolean(text) != nil || Scalar.number(text) != nil
    return .scalar(starts && isPlain && !hasOtherMeaning ? text : quoted(text))
  }

  /// A number that reads back to the same bits.
  static func number(_ value: Double) -> Written {
    if value.isNaN { return .scalar(".nan") }
    if value.isInfinite { return .scalar(value < 0 ? "-.inf" : ".inf") }
    // YAML 1.1 readers take `1e-08` for a string, but not `1.0e-08`.
    let text = value.description
    return .scalar(text.contains(".") ? text : text.replacing("e", with: ".0e"))
  }

  /// A YAML double-quoted scalar; what does not print is escaped.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case " "..."~", "\u{A1}"..."\u{1FFF}", "\u{3040}"..."\u{D7FF}": quoted.unicodeScalars.append(scalar)
      default:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
      }
    }
    return quoted + "\""
  }
}
