/// The outputs of a weight-decomposed layer (DoRA, Liu et al. 2024, arXiv:2402.09353), before they get their magnitude:
/// u = x (W + s B A)ᵀ, y = g · u + start with g = m / ‖W + s B A‖ for every output.
///
/// The norm counts as a constant in the backward pass (section 4.3 of the paper): du = g · dy, dm = Σ dy · u / ‖·‖.
struct Rescaling {
  /// u, [T, out]
  private let product: Tensor
  /// ‖W + s B A‖, [out]
  private let norms: Tensor
  /// g, [out]
  private let factors: Tensor

  init(
    of product: Tensor, _ projection: Projection, _ update: LowRank, _ magnitude: Tensor, _ backend: any Backend
  ) {
    self.product = product
    norms =
      update.norms
      ?? backend.outputNorms(
        projection.weight, projection.layout, down: update.down, up: update.up, scale: update.scale)
    factors = backend.divide(magnitude, by: norms)
  }

  func output(_ start: ProductStart, _ backend: any Backend) -> Tensor {
    backend.scaleColumns(product, by: factors, start: start)
  }

  /// dy ↦ du
  func pullback(_ dy: Tensor, _ backend: any Backend) -> Tensor {
    backend.scaleColumns(backend.cast(dy, to: .float32), by: factors, start: .zero)
  }

  /// dy ↦ dm
  func magnitudeGradient(_ backend: any Backend) -> (_ dy: Tensor) -> Tensor {
    { backend.divide(backend.columnProducts(backend.cast($0, to: .float32), product), by: norms) }
  }
}

extension Projection {
  /// Whether what dropout leaves of x takes another way than the rest.
  var isParted: Bool { update.map { $0.magnitude != nil && $0.dropout != nil } ?? false }
}

extension Context {
  /// DoRA with dropout, as PEFT has it: y = (x − d) Wᵀ + b + g · d (W + s B A)ᵀ with d = dropout(x). What is dropped still
  /// passes through W alone.
  func parted(_ x: Tensor, _ projection: Projection, addingTo residual: Tensor?) -> Tensor {
    guard let update = projection.update, let dropout = update.dropout else {
      preconditionFailure("parted: a projection without dropout")
    }
    let (seen, rest) = part(x, dropout)
    let (weight, layout) = (projection.weight, projection.layout)
    let plain = linear(rest, Projection(weight, bias: projection.bias, layout: layout), addingTo: residual)
    let whole = LowRank(
      down: update.down, up: update.up, scale: update.scale, magnitude: update.magnitude, norms: update.norms)
    return linear(seen, Projection(weight, layout: layout, update: whole), addingTo: plain)
  }

  /// d = dropout(x) and x − d.
  private func part(_ x: Tensor, _ dropout: Dropout) -> (seen: Tensor, rest: Tensor) {
    let backend = backend
    func difference(_ a: Tensor, _ b: Tensor) -> Tensor {
      backend.add(backend.cast(a, to: .float32), backend.scale(backend.cast(b, to: .float32), by: -1))
    }
    let seen = backend.dropout(x, dropout)
    let rest = backend.cast(difference(x, seen), to: x.dtype)
    record("part", inputs: [x], outputs: [seen, rest]) { gradients in
      switch (gradients[0], gradients[1]) {
      case (let dSeen?, let dRest?): [backend.add(dRest, backend.dropout(difference(dSeen, dRest), dropout))]
      case (let dSeen?, nil): [backend.dropout(dSeen, dropout)]
      case (nil, let dRest?): [difference(dRest, backend.dropout(dRest, dropout))]
      case (nil, nil): [nil]
      }
    }
    return (seen, rest)
  }
}
