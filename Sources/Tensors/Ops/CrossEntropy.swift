extension Context {
  /// Σ over rows of −log softmax(hidden · headᵀ)[target], head and loss in one, in blocks of rows.
  ///
  /// - Parameters: hidden [T, D], head [V, D], targets [T].
  /// - Returns: the sum [1], and each row's negative log-likelihood [T], which carries no gradient.
  public func crossEntropy(hidden: Tensor, head: Tensor, targets: Tensor) -> (sum: Tensor, nll: Tensor) {
    let backend = backend
    let found = backend.crossEntropy(
      hidden: hidden, head: head, targets: targets, wants: (tracks(hidden), tracks(head)))
    let total = backend.read(found.nll).reduce(0) { $0 + Double($1) }
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
  public func crossEntropy(hidden: Tensor, _ head: Projection, targets: Tensor) -> (sum: Tensor, nll: Tensor) {
    guard let update = head.update else { return crossEntropy(hidden: hidden, head: head.weight, targets: targets) }
    precondition(head.bias == nil && head.layout == .outputsFirst && update.magnitude == nil, "crossEntropy: the head")
    let low = scale(linear(dropout(hidden, update.dropout), Projection(update.down)), by: update.scale)
    let weight = backend.cast(head.weight, to: .float32)
    return crossEntropy(
      hidden: joinColumns([hidden, low]), head: joinColumns([weight, update.up]), targets: targets)
  }
}
