/// The classes of Unicode scalars that tokenizers speak of.
///
/// The reference implementation has tables of fixed Unicode versions. Scalars that were assigned later are
/// in none of its classes, and a few have changed class since: so it is here.
extension Unicode.Scalar {
  /// Whether the scalar was assigned in the given major version of Unicode or before.
  func isAssigned(by major: Int) -> Bool {
    if value < 0x80 { return true }
    guard let age = properties.age else { return false }
    return age.major <= major
  }

  /// `\s`: Unicode's White_Space.
  var isSpace: Bool { value < 0x80 ? value == 32 || (9...13).contains(value) : properties.isWhitespace }

  /// `\w` of Rust's regular expressions: Alphabetic, M, Nd, Pc and Join_Control, in Unicode 16.
  var isWordPart: Bool {
    if value < 0x80 { return isASCIILetterOrDigit || self == "_" }
    guard isAssigned(by: 16) else { return false }
    if properties.isAlphabetic || properties.isJoinControl { return true }
    switch properties.generalCategory {
    case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: return true
    default: return false
    }
  }

  private var isASCIILetterOrDigit: Bool {
    (48...57).contains(value) || (65...90).contains(value) || (97...122).contains(value)
  }

  /// A number of any kind: Nd, Nl, No.
  var isNumeral: Bool {
    if value < 0x80 { return (48...57).contains(value) }
    switch properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: return true
    default: return false
    }
  }

  /// An ASCII punctuation mark or symbol, or punctuation (P) of Unicode 8.
  var isPunctuationMark: Bool {
    if value < 0x80 { return (33...126).contains(value) && !isASCIILetterOrDigit }
    switch properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      return isAssigned(by: 8)
    default: return value == 0x166D || value == 0x111C9
    }
  }

  /// A combining mark (M) of Unicode 9.
  var isCombiningMark: Bool {
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: isAssigned(by: 9) && value != 0x111C9
    default: value == 0x1CF2 || value == 0x1CF3
    }
  }

  /// A mark that takes no space of its own (Mn) of Unicode 8.
  var isNonspacingMark: Bool {
    guard properties.generalCategory == .nonspacingMark else { return value == 0x1734 || value == 0x1171E }
    return isAssigned(by: 8) && ![0x1885, 0x1886, 0xA9BD, 0x111C9].contains(value)
  }

  /// A control, format or private-use scalar (C) of Unicode 8, tab and line ends excepted.
  var isControl: Bool {
    if self == "\t" || self == "\n" || self == "\r" { return false }
    switch properties.generalCategory {
    case .control, .format, .privateUse, .surrogate: return isAssigned(by: 8)
    default: return false
    }
  }

  /// Whether the scalar is in one of the CJK ideograph blocks that BERT puts spaces around.
  var isIdeograph: Bool {
    switch value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
      0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      return true
    default: return false
    }
  }
}
