/// Which linear layers of a part get an adapter; the meaning is PEFT's `target_modules`.
public enum Targets: Equatable, Sendable {
  /// Every linear layer of the part, heads excluded.
  case allLinear
  /// A regular expression that matches whole module paths.
  case pattern(String)
  /// Endings of module paths: `q_proj` matches `layers.0.self_attn.q_proj`.
  case names([String])
}

extension Targets: RunFileValue {
  static var wanted: String { "all-linear, a regular expression or a list of name endings" }

  static func reading(_ tree: YAMLTree, at key: String, over current: Targets?) throws -> Targets {
    switch tree.content {
    case .list: return .names(try [String].reading(tree, at: key, over: nil))
    case .scalar(let text, _) where !text.isEmpty && !tree.isNull:
      return text == "all-linear" ? .allLinear : .pattern(text)
    default: throw mismatch(tree, at: key)
    }
  }

  var written: Written {
    switch self {
    case .allLinear: .scalar("all-linear")
    case .pattern(let pattern): .text(pattern)
    case .names(let names): names.written
    }
  }
}
