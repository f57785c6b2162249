import Ground

/// How many floating-point operations the matrix work of a primitive takes: those that its result needs, whatever a
/// device does beside them. A multiplication and an addition count as two.
enum MatrixWork {
  /// Σ a[m, k] × b[k, n]: 2·m·k·n for each term, at the speed of the type that its factors are brought to.
  static func product(_ terms: [ProductTerm]) -> Profile.Work {
    let narrow = terms.filter(\.isNarrow)
    return Profile.Work(
      shapes: terms.flatMap { [[$0.a.rows, $0.a.width], [$0.b.rows, $0.b.width]] },
      type: narrow.isEmpty ? "F32" : narrow.count == terms.count ? "BF16" : "BF16+F32",
      operations: terms.reduce(0) { $0 + $1.operations }, narrowOperations: narrow.reduce(0) { $0 + $1.operations })
  }

  /// 2 · heads · width operations for each pair of a query and a key that it sees, in each of `products` products:
  /// two forward (scores, values), five backward (scores again, and the gradients of weights, q, k and v).
  static func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ pairs: Int, products: Int
  ) -> Profile.Work {
    let (operations, isNarrow) = (products * 2 * shape.heads * shape.headWidth * pairs, q.dtype == .bfloat16)
    return Profile.Work(
      shapes: [q.shape, k.shape, v.shape], type: isNarrow ? "BF16" : "F32", operations: operations,
      narrowOperations: isNarrow ? operations : 0)
  }

  /// states[T, D] × matrix[V, D]ᵀ for each term, and as much again for each gradient that is wanted.
  static func logits(_ terms: [LogitTerm]) -> Profile.Work {
    var (operations, narrow) = (0, 0)
    for term in terms {
      let own = 2 * term.states.rows * term.matrix.width * term.matrix.rows
      operations += own * (1 + (term.wants.states ? 1 : 0) + (term.wants.matrix ? 1 : 0))
      // The gradient of a matrix has a transposed factor, which stays in f32.
      if term.matrix.dtype == .bfloat16 { narrow += own * (term.wants.states ? 2 : 1) }
    }
    return Profile.Work(
      shapes: terms.flatMap { [$0.states.shape, $0.matrix.shape] },
      type: terms.contains { $0.matrix.dtype == .bfloat16 } ? "BF16" : "F32", operations: operations,
      narrowOperations: narrow)
  }
}

extension ProductTerm {
  /// Whether its factors are brought to bf16, as ``Backend/product(_:scale:start:into:)`` says.
  fileprivate var isNarrow: Bool {
    (a.tensor.dtype == .bfloat16 || b.tensor.dtype == .bfloat16) && !a.isTransposed
  }
}

extension Sequences {
  /// How many pairs of a query and a key that it sees there are; a causal sequence's queries are its last rows.
  func pairs(_ mask: AttentionMask) -> Int {
    zip(queries, keys).reduce(0) { sum, ranges in
      let (queries, keys) = (ranges.0.count, ranges.1.count)
      switch mask {
      case .bidirectional: return sum + queries * keys
      case .causal: return sum + queries * (keys - queries) + queries * (queries + 1) / 2
      }
    }
  }
}
