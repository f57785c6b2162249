/// Changes of case, equal to Python's `str` methods.
extension Text {
  func uppercased() throws -> Text {
    if isASCII { return withBytes(bytes.map { (0x61...0x7A).contains($0) ? $0 - 0x20 : $0 }) }
    return try mapScalars { scalar, _ in scalar.properties.uppercaseMapping }
  }

  func lowercased() throws -> Text {
    if isASCII { return withBytes(bytes.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }) }
    let all = scalars
    return try mapScalars { _, index in Text.lower(index, in: all) }
  }

  /// The first scalar in title case, the others in lower case.
  func capitalized() throws -> Text {
    let all = scalars
    return try mapScalars { scalar, index in
      index == 0 ? scalar.properties.titlecaseMapping : Text.lower(index, in: all)
    }
  }

  /// Every letter that follows no letter in title case, the others in lower case.
  func titled() throws -> Text {
    let all = scalars
    return try mapScalars { scalar, index in
      index > 0 && all[index - 1].properties.isCased
        ? Text.lower(index, in: all) : scalar.properties.titlecaseMapping
    }
  }

  func caseSwapped() throws -> Text {
    let all = scalars
    return try mapScalars { scalar, index in
      scalar.properties.isUppercase
        ? Text.lower(index, in: all)
        : scalar.properties.isLowercase ? scalar.properties.uppercaseMapping : String(scalar)
    }
  }

  /// `str.islower` (`upper` false) and `str.isupper` (`upper` true): there is a cased letter and none of the other case.
  func isCase(upper: Bool) -> Bool {
    var found = false
    for scalar in scalars {
      let properties = scalar.properties
      let isTitle = properties.generalCategory == .titlecaseLetter
      if isTitle || (upper ? properties.isLowercase : properties.isUppercase) { return false }
      if upper ? properties.isUppercase : properties.isLowercase { found = true }
    }
    return found
  }

  /// The lower case of one scalar; a sigma that ends a word has a form of its own.
  private static func lower(_ index: Int, in all: [Unicode.Scalar]) -> String {
    guard all[index] == "\u{3A3}" else { return all[index].properties.lowercaseMapping }
    let before = all[..<index].last { !$0.properties.isCaseIgnorable }
    let after = all[(index + 1)...].first { !$0.properties.isCaseIgnorable }
    return before?.properties.isCased == true && after?.properties.isCased != true ? "\u{3C2}" : "\u{3C3}"
  }
}
