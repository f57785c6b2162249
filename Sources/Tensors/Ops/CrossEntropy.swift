/// What logits are the sum of, states · matrixᵀ: one such term is of a head, another of its low-rank update.
public struct LogitTerm {
  /// Of both, where they are wanted: [T, D] and [V, D].
  public typealias Gradients = (states: Tensor?, matrix: Tensor?)

  /// [T, D]
  public let states: Tensor
  /// [V, D]
  public let matrix: Tensor
  /// Which gradients somebody needs.
  public let wants: (states: Bool, matrix: Bool)

  public init(_ states: Tensor, _ matrix: Tensor, wants: (states: Bool, matrix: Bool)) {
    self.states = states
    self.matrix = matrix
    self.wants = wants
  }

  var wantsAny: Bool { wants.states || wants.matrix }
}

extension Context {
  /// Σ over rows of −weight · log softmax(hidden · headᵀ)[target], head and loss in one, in blocks of rows.
  ///
  /// - Parameters: hidden [T, D], head [V, D], targets [T], weights [T], nil for 1.
  /// - Returns: the sum [1], and each row's negative log-likelihood [T], unweighted, which carries no gradient.
  public func crossEntropy(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor? = nil
  ) -> (sum: Tensor, nll: Tensor) {
    crossEntropy(hidden: hidden, Projection(head), targets: targets, weights: weights)
  }

  /// The same under a head with a low-rank update: logits h Wᵀ + (s · dropout(h) Aᵀ) Bᵀ.
  ///
  /// - Precondition: the head has no bias, and its update no magnitude.
  public func crossEntropy(
    hidden: Tensor, _ head: Projection, targets: Tensor, weights: Tensor? = nil
  ) -> (sum: Tensor, nll: Tensor) {
    let (backend, logits) = (backend, logitTerms(hidden, head))
    let found = backend.crossEntropy(logits, targets: targets, rowWeights: weights)
    let total = weightedSum(backend.read(found.nll), weights.map(backend.read))
    let sum = backend.tensor([Float(total)], [1])
    record("crossEntropy", inputs: logits.flatMap { [$0.states, $0.matrix] }, output: sum) {
      scaled(found.gradients, by: backend.read($0)[0], backend)
    }
    return (sum, found.nll)
  }

  /// The products whose sum is what a head makes of states.
  private func logitTerms(_ hidden: Tensor, _ head: Projection) -> [LogitTerm] {
    func term(_ states: Tensor, _ matrix: Tensor) -> LogitTerm {
      LogitTerm(states, matrix, wants: (tracks(states), tracks(matrix)))
    }
    guard let update = head.update else { return [term(hidden, head.weight)] }
    precondition(head.bias == nil && head.layout == .outputsFirst && update.magnitude == nil, "crossEntropy: the head")
    let low = scale(linear(dropout(hidden, update.dropout), Projection(update.down)), by: update.scale)
    return [term(hidden, head.weight), term(low, update.up)]
  }
}

/// The gradients of terms, in the order of their states and matrices.
private func scaled(_ gradients: [LogitTerm.Gradients], by factor: Float, _ backend: any Backend) -> [Tensor?] {
  gradients.flatMap { [$0.states, $0.matrix] }.map { gradient in
    factor == 1 ? gradient : gradient.map { backend.scale($0, by: factor) }
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
    let (backend, logits) = (backend, logitTerms(hidden, head))
    let found = backend.tokenLosses(logits, targets: targets, teacher: teacher, terms, rowWeights: weights)
    let (losses, counts) = (backend.read(found.losses), weights.map(backend.read))
    let sums = (0..<3).map { term in
      weightedSum(stride(from: term, to: losses.count, by: 3).map { losses[$0] }, counts)
    }
    let total =
      Double(terms.crossEntropy) * sums[0] + Double(terms.squaredLogSum) * sums[1] + Double(terms.distillation)
      * sums[2]
    let sum = backend.tensor([Float(total)], [1])
    record("tokenLosses", inputs: logits.flatMap { [$0.states, $0.matrix] }, output: sum) {
      scaled(found.gradients, by: backend.read($0)[0], backend)
    }
    return (sum, sums[0], sums[1], sums[2])
  }

  /// −log softmax(hidden · headᵀ)[target] of each row, [T]; logits are computed again for the gradient.
  public func tokenLogLosses(hidden: Tensor, _ head: Projection, targets: Tensor) -> Tensor {
    let (backend, logits) = (backend, logitTerms(hidden, head))
    let silent = logits.map { LogitTerm($0.states, $0.matrix, wants: (false, false)) }
    let nll = backend.crossEntropy(silent, targets: targets, rowWeights: nil).nll
    record("tokenLogLosses", inputs: logits.flatMap { [$0.states, $0.matrix] }, output: nll) { dNLL in
      var terms = TokenTerms()
      terms.crossEntropy = 1
      let found = backend.tokenLosses(logits, targets: targets, teacher: nil, terms, rowWeights: dNLL)
      return scaled(found.gradients, by: 1, backend)
    }
    return nll
  }
}
