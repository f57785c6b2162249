/// Values for module paths that regular expressions describe, in the order in which they are tried: PEFT's
/// `rank_pattern` and `alpha_pattern`.
///
/// A pattern fits a path that it matches whole, or from behind a dot to the end: `q_proj` fits `layers.0.q_proj`.
public struct PatternTable<Value: Equatable & Sendable>: Equatable, Sendable {
  public struct Row: Equatable, Sendable {
    public let pattern: String
    public let value: Value

    public init(_ pattern: String, _ value: Value) {
      self.pattern = pattern
      self.value = value
    }
  }

  public var rows: [Row]

  public init(_ rows: [Row] = []) { self.rows = rows }

  public var isEmpty: Bool { rows.isEmpty }
}

extension PatternTable: RunFileValue where Value: RunFileValue {
  static var wanted: String { "a map of patterns to \(Value.wanted == Int.wanted ? "integers" : "numbers")" }

  static func reading(_ tree: YAMLTree, at key: String, over current: Self?) throws -> Self {
    if tree.isNull { return Self() }
    guard case .mapping(let members) = tree.content else { throw mismatch(tree, at: key) }
    return Self(try members.map { Row($0.key, try Value.reading($0.value, at: "\(key).\($0.key)", over: nil)) })
  }

  var written: Written {
    guard !rows.isEmpty else { return .scalar("{}") }
    return .section(
      rows.map { row in
        Written.Line(
          name: Written.text(row.pattern).plain, meaning: "", affectsTraining: true, value: row.value.written)
      })
  }
}
