extension Context {
  /// Σ over rows of −weight · log softmax(hidden · headᵀ)[target], head and loss in one, in blocks of rows.
  ///
  /// - Parameters: hidden [T, D], head [V, D], targets [T], weights [T], nil for 1.
  /// - Returns: the sum [1], and each row's negative log-likelihood [T], unweighted, which carries no gradient.
  public func crossEntropy(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor? = nil
  ) -> (sum: Tensor, nll: Tensor) {
    let backend = backend
    let found = backend.crossEntropy(
      hidden: hidden, head: head, targets: targets, rowWeights: weights, wants: (tracks(hidden), tracks(head)))
    let total = weightedSum(backend.read(found.nll), weights.map(backend.read))
    let sum = backend.tensor([Float(total)], [1])
    record("crossEntropy", inputs: [hidden, head], output: sum) { seed in
      let factor = backend.read(seed)[0]
      let scaled = { (gradient: Tensor) in factor == 1 ? gradient : backend.scale(gradient, by: factor) }
      return [found.hidden.map(scaled), found.head.map(scaled)]
    }
    return (sum, found.nll)
  }

  /// The same under a head with a low-rank update: [h, s · h Aᵀ] times [W, B] is the product with W + s B A.
  ///
  /// - Precondition: the head has no bias, and its update no magnitude.
  public func crossEntropy(
    hidden: Tensor, _ head: Projection, targets: Tensor, weights: Tensor? = nil
  ) -> (sum: Tensor, nll: Tensor) {
    let (hidden, head) = plainHead(hidden, head)
    return crossEntropy(hidden: hidden, head: head, targets: targets, weights: weights)
  }

  /// States and a matrix whose product is what a head makes of the states.
  private func plainHead(_ hidden: Tensor, _ head: Projection) -> (hidden: Tensor, head: Tensor) {
    guard let update = head.update else { return (hidden, head.weight) }
    precondition(head.bias == nil && head.layout == .outputsFirst && update.magnitude == nil, "crossEntropy: the head")
    let low = scale(linear(dropout(hidden, update.dropout), Projection(update.down)), by: update.scale)
    let weight = backend.cast(head.weight, to: .float32)
    return (joinColumns([hidden, low]), joinColumns([weight, update.up]))
  }
}

/// Σ weight · loss in double precision, in order; without weights each counts as 1.
private func weightedSum(_ losses: [Float], _ weights: [Float]?) -> Double {
  guard let weights else { return losses.reduce(0) { $0 + Double($1) } }
  return zip(losses, weights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
}

/// Losses of next tokens that come from the same logits, by weight.
public struct TokenTerms: Equatable, Sendable {
  /// −log p of the target, the target's share of the probability (1 − ε), the rest even over all V tokens
  /// (label smoothing, Szegedy et al. 2016, arXiv:1512.00567).
  public var crossEntropy: Float = 0
  /// ε
  public var smoothing: Float = 0
  /// (log Σ exp z)², which keeps logits near 0 (z-loss, Chowdhery et al. 2022, arXiv:2204.02311).
  public var squaredLogSum: Float = 0
  /// T² · KL(teacher's softmax(z/T) ‖ softmax(z/T)) (Hinton et al. 2015, arXiv:1503.02531).
  public var distillation: Float = 0
  /// T
  public var temperature: Float = 1

  public init() {}
}

extension Context {
  /// Σ over rows of the weighted losses of `terms`, [1], and the sum of each loss without its weight there.
  ///
  /// - Parameters: `weights` [T] of the rows, nil for 1, which all sums have in them; `teacher`, states [T, D′] and head
  ///   [V, D′] of the model that distillation learns from.
  public func tokenLosses(
    hidden: Tensor, _ head: Projection, targets: Tensor, weights: Tensor? = nil,
    teacher: (hidden: Tensor, head: Tensor)? = nil, _ terms: TokenTerms
  ) -> (sum: Tensor, crossEntropy: Double, squaredLogSum: Double, distillation: Double) {
    let backend = backend
    let (hidden, head) = plainHead(hidden, head)
    let found = backend.tokenLosses(
      hidden: hidden, head: head, targets: targets, teacher: teacher, terms, rowWeights: weights,
      wants: (tracks(hidden), tracks(head)))
    let (losses, counts) = (backend.read(found.losses), weights.map(backend.read))
    let sums = (0..<3).map { term in
      weightedSum(stride(from: term, to: losses.count, by: 3).map { losses[$0] }, counts)
    }
    let total =
      Double(terms.crossEntropy) * sums[0] + Double(terms.squaredLogSum) * sums[1] + Double(terms.distillation)
      * sums[2]
    let sum = backend.tensor([Float(total)], [1])
    record("tokenLosses", inputs: [hidden, head], output: sum) { seed in
      let factor = backend.read(seed)[0]
      let scaled = { (gradient: Tensor) in factor == 1 ? gradient : backend.scale(gradient, by: factor) }
      return [found.hidden.map(scaled), found.head.map(scaled)]
    }
    return (sum, sums[0], sums[1], sums[2])
  }

  /// −log softmax(hidden · headᵀ)[target] of each row, [T]; logits are computed again for the gradient.
  public func tokenLogLosses(hidden: Tensor, _ head: Projection, targets: Tensor) -> Tensor {
    let backend = backend
    let (hidden, head) = plainHead(hidden, head)
    let nll = backend.crossEntropy(hidden: hidden, head: head, targets: targets, wants: (false, false)).nll
    let wants = (hidden: tracks(hidden), head: tracks(head))
    record("tokenLogLosses", inputs: [hidden, head], output: nll) { dNLL in
      var terms = TokenTerms()
      terms.crossEntropy = 1
      let found = backend.tokenLosses(
        hidden: hidden, head: head, targets: targets, teacher: nil, terms, rowWeights: dNLL, wants: wants)
      return [found.hidden, found.head]
    }
    return nll
  }
}
