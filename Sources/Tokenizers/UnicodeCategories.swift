/// The general categories that patterns of tokenizers name, as ranges of scalar values.
enum UnicodeCategories {
  /// By name (`L`, `Lu`, …) the scalars that have been of that category since the given major version of Unicode.
  static func ranges(of version: Int) -> [String: [ClosedRange<UInt32>]] {
    var ranges: [String: [ClosedRange<UInt32>]] = [:]
    var run: (category: Unicode.GeneralCategory, range: ClosedRange<UInt32>)?
    func close() {
      guard let (category, range) = run, let names = names[category] else { return }
      for name in names {
        let last = ranges[name]?.last
        if let last, last.upperBound + 1 == range.lowerBound {
          ranges[name]![ranges[name]!.count - 1] = last.lowerBound...range.upperBound
        } else {
          ranges[name, default: []].append(range)
        }
      }
    }
    for value in UInt32(0)..<0xE0200 {
      // Planes 4 to 13 are empty.
      if (0x40000..<0xE0000).contains(value) { continue }
      guard let scalar = Unicode.Scalar(value) else { continue }
      let isKnown = scalar.isAssigned(by: version)
      let category = isKnown ? scalar.properties.generalCategory : .unassigned
      if let current = run, current.category == category, current.range.upperBound + 1 == value {
        run = (category, current.range.lowerBound...value)
      } else {
        close()
        run = (category, value...value)
      }
    }
    close()
    return ranges
  }

  /// Separators and other scalars (Z, C) are left to the engine, and so are the finer classes of punctuation and
  /// symbols that hardly change.
  private static let names: [Unicode.GeneralCategory: [String]] = [
    .uppercaseLetter: ["L", "Lu"], .lowercaseLetter: ["L", "Ll"], .titlecaseLetter: ["L", "Lt"],
    .modifierLetter: ["L", "Lm"], .otherLetter: ["L", "Lo"],
    .nonspacingMark: ["M", "Mn"], .spacingMark: ["M", "Mc"], .enclosingMark: ["M"],
    .decimalNumber: ["N", "Nd"], .letterNumber: ["N", "Nl"], .otherNumber: ["N", "No"],
    .connectorPunctuation: ["P"], .dashPunctuation: ["P"], .openPunctuation: ["P"], .closePunctuation: ["P"],
    .initialPunctuation: ["P"], .finalPunctuation: ["P"], .otherPunctuation: ["P", "Po"],
    .mathSymbol: ["S"], .currencySymbol: ["S"], .modifierSymbol: ["S"], .otherSymbol: ["S", "So"],
  ]
}
