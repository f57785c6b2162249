/// Some layers of a part, by number: `[0, 1, 5]`, or a range as `8-15`, both ends included.
public struct LayerSet: Equatable, Sendable, CustomStringConvertible {
  /// Ascending, each once.
  public let numbers: [Int]

  public init(_ numbers: some Sequence<Int>) { self.numbers = Set(numbers).sorted() }

  public func contains(_ number: Int) -> Bool { numbers.contains(number) }

  /// `8-15`, `0, 1, 5`
  public var description: String {
    guard let range, range.count > 1 else { return numbers.map(String.init).joined(separator: ", ") }
    return "\(range.lowerBound)-\(range.upperBound)"
  }

  /// The numbers as a range, where none between is missing.
  private var range: ClosedRange<Int>? {
    guard let first = numbers.first, let last = numbers.last, last - first + 1 == numbers.count else { return nil }
    return first...last
  }
}

extension LayerSet: RunFileValue {
  static let wanted = "a range of layers, as 8-15, or a list of their numbers"
  private static let most = 100_000

  static func reading(_ tree: YAMLTree, at key: String, over current: LayerSet?) throws -> LayerSet {
    switch tree.content {
    case .list:
      let numbers = try [Int].reading(tree, at: key, over: nil)
      guard !numbers.isEmpty, numbers.allSatisfy((0..<most).contains) else { throw mismatch(tree, at: key) }
      return LayerSet(numbers)
    case .scalar(let text, _) where !tree.isNull:
      let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        first >= 0, first <= last, last < most
      else { throw mismatch(tree, at: key) }
      return LayerSet(first...last)
    default: throw mismatch(tree, at: key)
    }
  }

  var written: Written {
    if let range, range.count > 1 { return .text(description) }
    return .list(numbers.map(\.written))
  }
}

/// What a part that is trained whole can leave as it is.
public enum FrozenKind: String, CaseIterable, Sendable { case embeddings, head, norms, biases }

extension FrozenKind: RunFileChoice {}
