extension RegularExpression {
  /// A pattern in which `[:punct:]` is written out as all punctuation and symbols, which it is in `tokenizers`; what it is in
  /// the library depends on its version.
  static func writingOutPunctuation(_ pattern: String) -> [UInt8] {
    let text = Array(pattern.utf8)
    var result: [UInt8] = []
    var (position, depth) = (0, 0)
    func stands(_ part: String) -> Bool { text[position...].starts(with: part.utf8) }
    func take(_ count: Int) {
      result += text[position..<min(position + count, text.count)]
      position = min(position + count, text.count)
    }
    while position < text.count {
      switch text[position] {
      case UInt8(ascii: "\\"): take(2)
      case UInt8(ascii: "[") where depth > 0 && stands("[:punct:]"):
        result += Array(#"[\p{P}\p{S}]"#.utf8)
        position += "[:punct:]".utf8.count
      case UInt8(ascii: "[") where depth > 0 && stands("[:^punct:]"):
        result += Array(#"[^\p{P}\p{S}]"#.utf8)
        position += "[:^punct:]".utf8.count
      case UInt8(ascii: "[") where depth > 0 && otherClasses.contains { stands("[:\($0):]") || stands("[:^\($0):]") }:
        repeat { take(1) } while text[position - 1] != UInt8(ascii: "]")
      case UInt8(ascii: "["):
        depth += 1
        take(1)
        if stands("^") { take(1) }
        // The first of a set is a member of it.
        if stands("]") { take(1) }
      case UInt8(ascii: "]"):
        depth = max(0, depth - 1)
        take(1)
      default: take(1)
      }
    }
    return result
  }

  private static let otherClasses = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "space", "upper", "word", "xdigit",
  ]
}
