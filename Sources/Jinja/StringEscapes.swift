/// The value of a string literal, its escapes resolved as in a Python string.
func unescaped(_ content: Text) throws -> String {
  let scalars = content.scalars
  var result = String.UnicodeScalarView()
  var index = 0

  func code(_ length: Int, _ radix: Int, from start: Int) -> (value: UInt32, end: Int)? {
    let end = min(start + length, scalars.count)
    let digits = scalars[start..<end].prefix { Character($0).hexDigitValue.map { $0 < radix } == true }
    guard let value = UInt32(String(String.UnicodeScalarView(digits)), radix: radix) else { return nil }
    return (value, start + digits.count)
  }

  while index < scalars.count {
    let scalar = scalars[index]
    index += 1
    guard scalar == "\\", index < scalars.count else {
      result.append(scalar)
      continue
    }
    let letter = scalars[index]
    index += 1
    if let simple = simpleEscapes[letter] {
      result.append(contentsOf: simple.unicodeScalars)
    } else if ("0"..."7").contains(letter), let (value, end) = code(3, 8, from: index - 1) {
      result.append(Unicode.Scalar(value) ?? "\u{FFFD}")
      index = end
    } else if let length = ["x": 2, "u": 4, "U": 8][letter] {
      guard let (value, end) = code(length, 16, from: index), end == index + length else {
        throw TemplateProblem("truncated \\\(letter) escape in a string")
      }
      guard let escaped = Unicode.Scalar(value) else {
        throw TemplateProblem("the \\\(letter) escape in a string is no character")
      }
      result.append(escaped)
      index = end
    } else if letter == "N" {
      throw TemplateProblem("\\N escapes in strings are not supported")
    } else {
      result.append("\\")
      result.append(letter)
    }
  }
  return String(result)
}

private let simpleEscapes: [Unicode.Scalar: String] = [
  "\n": "", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r",
  "t": "\t", "v": "\u{0B}",
]
