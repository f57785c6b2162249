import Foundation

/// Unicode's four normal forms (UAX #15), with the data of Unicode 9 as in the reference implementation.
enum NormalForm: String, Sendable {
  case composed = "NFC"
  case decomposed = "NFD"
  case compatibilityComposed = "NFKC"
  case compatibilityDecomposed = "NFKD"

  private var composes: Bool { self == .composed || self == .compatibilityComposed }

  private var data: NormalizationData {
    self == .composed || self == .decomposed ? .canonical : .compatibility
  }

  /// Calls `body` with each part of `range` that may change in this form; what lies between is in it already, and
  /// joins to nothing beside it.
  func forEachUnstablePart(
    _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void
  ) {
    let data = data
    // A scalar that may change can join to the stable one before it.
    var lastStable = range.lowerBound
    var start: Int?
    var index = range.lowerBound
    while index < range.upperBound {
      if text[index] < 0x80, start == nil {
        lastStable = index
        index += 1
        continue
      }
      let (value, length) = UTF8Text.scalar(text, at: index)
      if value >= 0x80, composes ? data.isActive(value) : data.isActiveInDecomposition(value) {
        start = start ?? lastStable
      } else {
        if let start { body(start..<index) }
        start = nil
        lastStable = index
      }
      index += length
    }
    if let start { body(start..<range.upperBound) }
  }

  /// Whether any part of the text may change in this form.
  func mayChange(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Bool {
    var found = false
    forEachUnstablePart(text, range) { _ in found = true }
    return found
  }

  /// The normal form of scalars, each with how it came about.
  func apply(_ scalars: [Unicode.Scalar]) -> [ScalarChange] {
    let decomposed = decompose(scalars)
    return composes ? compose(decomposed) : decomposed
  }

  private func decompose(_ scalars: [Unicode.Scalar]) -> [ScalarChange] {
    let data = data
    var result: [ScalarChange] = []
    result.reserveCapacity(scalars.count + scalars.count / 2)
    var classes: [UInt8] = []
    var runStart = 0
    // Marks between two starters are brought into the order of their classes.
    func sortRun() {
      if classes.count > 1 {
        let order = classes.indices.sorted { (classes[$0], $0) < (classes[$1], $1) }
        let run = Array(result[runStart...])
        for (place, index) in order.enumerated() { result[runStart + place] = run[index] }
      }
      classes.removeAll(keepingCapacity: true)
    }
    for scalar in scalars {
      var change = 0
      for part in data.decomposition(of: scalar) {
        let combiningClass = NormalizationData.combiningClass(of: part)
        if combiningClass == 0 { sortRun() }
        result.append(ScalarChange(scalar: part, change: change))
        if combiningClass == 0 { runStart = result.count } else { classes.append(combiningClass) }
        change = 1
      }
    }
    sortRun()
    return result
  }

  private func compose(_ decomposed: [ScalarChange]) -> [ScalarChange] {
    var result: [ScalarChange] = []
    result.reserveCapacity(decomposed.count)
    var starter: Int?
    var lastClass: UInt8?
    for next in decomposed {
      let combiningClass = NormalizationData.combiningClass(of: next.scalar)
      guard let index = starter else {
        if combiningClass == 0 { starter = result.count }
        result.append(next)
        continue
      }
      let isBlocked = lastClass.map { $0 >= combiningClass } ?? false
      if !isBlocked, let composite = NormalizationData.compose(result[index].scalar, next.scalar) {
        let change = result[index].change + next.change - 1
        result[index] = ScalarChange(scalar: composite, change: change)
        continue
      }
      if combiningClass == 0 { starter = result.count }
      lastClass = combiningClass == 0 ? nil : combiningClass
      result.append(next)
    }
    return result
  }
}

/// One scalar of a rewritten text, and how it came about.
struct ScalarChange {
  var scalar: Unicode.Scalar
  /// 1: it is new; 0: it replaces the next old scalar; −n: it replaces one and n more are removed.
  var change: Int
}

/// What normalisation needs to know of every scalar, up to Unicode 9.
struct NormalizationData: Sendable {
  static let canonical = NormalizationData { $0.decomposedStringWithCanonicalMapping }
  static let compatibility = NormalizationData { $0.decomposedStringWithCompatibilityMapping }

  /// Full decompositions, Hangul syllables left out.
  private let decompositions: [UInt32: [Unicode.Scalar]]
  /// A bit for each scalar that composition may change or join to the one before it.
  private var active = [UInt64](repeating: 0, count: NormalizationData.scalarCount / 64)
  /// A bit for each scalar that decomposes or is a mark.
  private var activeInDecomposition = [UInt64](repeating: 0, count: NormalizationData.scalarCount / 64)

  /// The scalar values below which all decompositions and marks lie, variation selectors aside.
  private static let scalarCount = 0x30000

  /// Scalars that are composed of two others, by both of them.
  private static let composites: [UInt64: Unicode.Scalar] = {
    var composites: [UInt64: Unicode.Scalar] = [:]
    for (value, _) in canonical.decompositions {
      guard let scalar = Unicode.Scalar(value), !scalar.properties.isFullCompositionExclusion else { continue }
      let parts = canonical.decompositions[value]!
      // The first part of the pair is the composite of all scalars but the last.
      let head = parts.dropLast()
      let first = head.count == 1 ? head[head.startIndex] : precomposed(Array(head))
      if let first { composites[UInt64(first.value) << 32 | UInt64(parts[parts.count - 1].value)] = scalar }
    }
    return composites
  }()

  private static func precomposed(_ parts: [Unicode.Scalar]) -> Unicode.Scalar? {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: parts)
    let composed = String(text).precomposedStringWithCanonicalMapping.unicodeScalars
    return composed.count == 1 ? composed.first : nil
  }

  private init(decompose: (String) -> String) {
    var decompositions: [UInt32: [Unicode.Scalar]] = [:]
    for value in UInt32(0xA0)..<UInt32(NormalizationData.scalarCount) {
      guard !NormalizationData.isUniform(value), let scalar = Unicode.Scalar(value), scalar.isAssigned(by: 9)
      else { continue }
      let parts = Array(decompose(String(scalar)).unicodeScalars)
      if parts != [scalar] { decompositions[value] = parts }
    }
    self.decompositions = decompositions
    for value in decompositions.keys { activeInDecomposition.set(value) }
    for value in UInt32(0xAC00)...0xD7A3 { activeInDecomposition.set(value) }
    for value in UInt32(0x300)..<UInt32(0x1F000) where !NormalizationData.isUniform(value) {
      guard let scalar = Unicode.Scalar(value) else { continue }
      if NormalizationData.combiningClass(of: scalar) != 0 {
        activeInDecomposition.set(value)
        active.set(value)
      }
    }
    for (value, parts) in decompositions {
      let scalar = Unicode.Scalar(value)!
      // Only a canonical composite whose parts join again is left as it is.
      let isStable = !scalar.properties.isFullCompositionExclusion && parts.count > 1
      let canonicalParts = Array(String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars)
      if !isStable || canonicalParts != parts { active.set(value) }
      if canonicalParts.count > 1 { active.set(canonicalParts[canonicalParts.count - 1].value) }
    }
    for value in UInt32(0x1161)...0x1175 { active.set(value) }
    for value in UInt32(0x11A8)...0x11C2 { active.set(value) }
  }

  /// Large blocks without any decomposition or mark.
  private static func isUniform(_ value: UInt32) -> Bool {
    (0x3400...0xA66E).contains(value) || (0xAC00...0xF8FF).contains(value) || (0x12000...0x16AEF).contains(value)
      || (0x17000...0x1BC9C).contains(value) || (0x20000...0x2F7FF).contains(value)
  }

  func isActive(_ value: UInt32) -> Bool { active.has(value) }
  func isActiveInDecomposition(_ value: UInt32) -> Bool { activeInDecomposition.has(value) }

  /// The full decomposition, the scalar itself where it has none.
  func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    if let syllable = Hangul.decompose(scalar) { return syllable }
    return decompositions[scalar.value] ?? [scalar]
  }

  /// The canonical combining class (ccc); 0 for starters.
  static func combiningClass(of scalar: Unicode.Scalar) -> UInt8 {
    guard scalar.value >= 0x300 else { return 0 }
    let combiningClass = scalar.properties.canonicalCombiningClass.rawValue
    return combiningClass != 0 && scalar.isAssigned(by: 9) ? combiningClass : 0
  }

  static func compose(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    Hangul.compose(first, second) ?? composites[UInt64(first.value) << 32 | UInt64(second.value)]
  }
}

/// Hangul syllables are made of their letters by arithmetic (Unicode, section 3.12).
private enum Hangul {
  static func decompose(_ scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    guard (0xAC00...0xD7A3).contains(scalar.value) else { return nil }
    let index = scalar.value - 0xAC00
    let letters = [0x1100 + index / 588, 0x1161 + index % 588 / 28, 0x11A7 + index % 28]
    return letters.prefix(index % 28 == 0 ? 2 : 3).map { Unicode.Scalar($0)! }
  }

  static func compose(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    let (a, b) = (first.value, second.value)
    if (0x1100...0x1112).contains(a), (0x1161...0x1175).contains(b) {
      return Unicode.Scalar(0xAC00 + (a - 0x1100) * 588 + (b - 0x1161) * 28)
    }
    if (0xAC00...0xD7A3).contains(a), (a - 0xAC00) % 28 == 0, (0x11A8...0x11C2).contains(b) {
      return Unicode.Scalar(a + b - 0x11A7)
    }
    return nil
  }
}

extension [UInt64] {
  fileprivate mutating func set(_ bit: UInt32) { self[Int(bit >> 6)] |= 1 << UInt64(bit & 63) }
  fileprivate func has(_ bit: UInt32) -> Bool {
    Int(bit >> 6) < count && self[Int(bit >> 6)] & 1 << UInt64(bit & 63) != 0
  }
}
