import Ground

/// How many floating-point operations the matrix work of a primitive takes: those that its result needs, whatever a
/// device does beside them. A multiplication and an addition count as two.
enum MatrixWork {
  /// op(a)[m, k] × op(b)[k, n]: 2·m·k·n, at the speed of b's type.
  static func product(_ a: Tensor, _ aTransposed: Bool, _ b: Tensor, _ bTransposed: Bool) -> Profile.Work {
    let left = aTransposed ? [a.width, a.rows] : [a.rows, a.width]
    let right = bTransposed ? [b.width, b.rows] : [b.rows, b.width]
    return Profile.Work(
      shapes: [left, right], type: type(of: b), operations: 2 * left[0] * left[1] * right[1])
  }

  /// 2 · heads · width operations for each pair of a query and a key that it sees, in each of `products` products:
  /// two forward (scores, values), five backward (scores again, and the gradients of weights, q, k and v).
  static func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ pairs: Int, products: Int
  ) -> Profile.Work {
    Profile.Work(
      shapes: [q.shape, k.shape, v.shape], type: type(of: k),
      operations: products * 2 * shape.heads * shape.headWidth * pairs)
  }

  /// hidden[T, D] × head[V, D]ᵀ, and as much again for each gradient that is wanted.
  static func crossEntropy(_ hidden: Tensor, _ head: Tensor, _ wants: (hidden: Bool, head: Bool)) -> Profile.Work {
    let products = 1 + (wants.hidden ? 1 : 0) + (wants.head ? 1 : 0)
    return Profile.Work(
      shapes: [hidden.shape, head.shape], type: type(of: head),
      operations: products * 2 * hidden.rows * head.width * head.rows)
  }

  private static func type(of operand: Tensor) -> String {
    (operand.dtype == .bfloat16 ? DType.bfloat16 : .float32).rawValue
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
