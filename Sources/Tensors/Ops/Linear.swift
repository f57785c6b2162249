/// How a weight matrix is stored.
public enum WeightLayout: Sendable {
  /// [out, in], as `torch.nn.Linear` stores it.
  case outputsFirst
  /// [in, out], as GPT-2's Conv1D stores it.
  case inputsFirst
}

/// A low-rank update of a linear layer (LoRA, Hu et al. 2021, arXiv:2106.09685), with or without a magnitude of its
/// outputs (DoRA, Liu et al. 2024, arXiv:2402.09353).
public struct LowRank {
  /// [rank, in]
  public let down: Tensor
  /// [out, rank]
  public let up: Tensor
  /// α / rank, or α / √rank
  public let scale: Float
  /// What the update does not see of its inputs.
  public let dropout: Dropout?
  /// The length of every row of the updated weight, [out]; nil where the update decides it.
  public let magnitude: Tensor?
  /// How long these rows are without it, [out]: ``Backend/outputNorms(_:_:down:up:scale:)``; nil where nobody knows yet.
  public let norms: Tensor?

  public init(
    down: Tensor, up: Tensor, scale: Float, dropout: Dropout? = nil, magnitude: Tensor? = nil, norms: Tensor? = nil
  ) {
    self.down = down
    self.up = up
    self.scale = scale
    self.dropout = dropout
    self.magnitude = magnitude
    self.norms = norms
  }
}

/// A linear map x ↦ x Wᵀ + b, with a low-rank update + scale · (dropout(x) Aᵀ) Bᵀ where there is one; where that has a
/// magnitude m, see `Rescaling`.
public struct Projection {
  /// [out, in] or [in, out], see `layout`
  public let weight: Tensor
  /// [out]
  public let bias: Tensor?
  public let layout: WeightLayout
  public let update: LowRank?

  public init(_ weight: Tensor, bias: Tensor? = nil, layout: WeightLayout = .outputsFirst, update: LowRank? = nil) {
    self.weight = weight
    self.bias = bias
    self.layout = layout
    self.update = update
  }

  fileprivate var inputs: [Tensor] {
    [weight] + (bias.map { [$0] } ?? []) + (update.map { [$0.down, $0.up] + ($0.magnitude.map { [$0] } ?? []) } ?? [])
  }
  /// As the second factor of x · Wᵀ.
  fileprivate var forward: Factor { Factor(weight, transposed: layout == .outputsFirst) }
  /// As the second factor of dy · W.
  fileprivate var backward: Factor { Factor(weight, transposed: layout == .inputsFirst) }
}

extension Context {
  /// x Wᵀ + b, see `Projection`: [T, in] → [T, out].
  ///
  /// - Parameter residual: [T, out], added where given.
  public func linear(_ x: Tensor, _ projection: Projection, addingTo residual: Tensor? = nil) -> Tensor {
    if projection.isParted { return parted(x, projection, addingTo: residual) }
    guard let residual else { return linear(x, [projection], residual: nil)[0] }
    // A product starts from one thing: a bias or the residual.
    guard projection.bias == nil else { return add(residual, linear(x, [projection], residual: nil)[0]) }
    return linear(x, [projection], residual: residual)[0]
  }

  /// Several linear maps of the same x, [T, in] → [T, out] each: one rounding of x, one product for all the small
  /// matrices A, one gradient of x.
  public func linear(_ x: Tensor, _ projections: [Projection]) -> [Tensor] {
    guard projections.contains(where: \.isParted) else { return linear(x, projections, residual: nil) }
    return projections.map { linear(x, $0) }
  }

  private func linear(_ x: Tensor, _ projections: [Projection], residual: Tensor?) -> [Tensor] {
    let backend = backend
    // What bf16 weights are multiplied by is rounded once for all of them.
    let type: DType =
      projections.contains { factorType(beside: $0.weight.dtype) == .bfloat16 } ? .bfloat16 : x.dtype
    let input = backend.cast(x, to: type)
    let updates = LowRankUpdates.of(projections, input, backend)
    var rescalings: [Int: Rescaling] = [:]
    let outputs = projections.enumerated().map { index, projection in
      let terms = [ProductTerm(Factor(input), projection.forward)] + updates.compactMap { $0.term(of: index) }
      let start = projection.bias.map { ProductStart.row($0) } ?? residual.map { .rows($0) } ?? .zero
      guard let update = projection.update, let magnitude = update.magnitude else {
        return backend.product(terms, start: start)
      }
      let rescaling = Rescaling(of: backend.product(terms), projection, update, magnitude, backend)
      rescalings[index] = rescaling
      return rescaling.output(start, backend)
    }

    let wantsInput = tracks(x)
    let wants = projections.map { (weight: tracks($0.weight), bias: $0.bias.map(tracks) ?? false) }
    // A frozen map keeps nothing; others what they multiplied, or the way to make it again.
    let isSeenAgain = !updates.isEmpty || wants.contains { $0.weight }
    let inputAgain: () -> Tensor =
      if !isSeenAgain {
        { preconditionFailure("linear: the input of frozen maps") }
      } else if let make = remaker(of: x) {
        { backend.cast(make(), to: type) }
      } else {
        { input }
      }
    let inputs = [x] + projections.flatMap(\.inputs) + (residual.map { [$0] } ?? [])
    record("linear", inputs: inputs, outputs: outputs) { [isResidual = residual != nil, rescalings] arrived in
      lazy var input = inputAgain()
      let gradients = arrived.enumerated().map { index, dy in
        dy.map { rescalings[index]?.pullback($0, backend) ?? $0 }
      }
      let rounded = gradients.map { $0.map { backend.cast($0, to: type) } }
      var found: [Int: LowRankUpdates.Gradients] = [:]
      var terms = zip(rounded, projections).compactMap { dy, projection in
        dy.map { ProductTerm(Factor($0), projection.backward) }
      }
      var masked: [Tensor] = []
      for update in updates {
        let (own, through) = update.pullback(rounded, input, backend)
        found.merge(own) { $1 }
        guard wantsInput, let through else { continue }
        let term = ProductTerm(Factor(through), Factor(update.down))
        if let dropout = update.dropout {
          masked.append(backend.dropout(backend.product([term]), dropout))
        } else {
          terms.append(term)
        }
      }
      let dx = wantsInput ? masked.reduce(backend.product(terms), backend.add) : nil
      return [dx]
        + projections.indices.flatMap { index -> [Tensor?] in
          let (projection, dOutput) = (projections[index], arrived[index])
          let dWeight =
            wants[index].weight ? rounded[index].map { weightGradient(backend, input, $0, projection.layout) } : nil
          let dBias = wants[index].bias ? dOutput.map(backend.columnSum) : nil
          let dMagnitude = rescalings[index].map { [dOutput.map($0.magnitudeGradient(backend))] } ?? []
          return [dWeight] + (projection.bias == nil ? [] : [dBias])
            + (projection.update == nil ? [] : [found[index]?.down, found[index]?.up] + dMagnitude)
        } + (isResidual ? [arrived[0]] : [])
    }
    return outputs
  }
}

/// The low-rank updates of projections that see the same x and share a scale, computed as one.
private struct LowRankUpdates {
  typealias Gradients = (down: Tensor, up: Tensor)

  /// Which projections, and their columns of `low`.
  let members: [(index: Int, update: LowRank, columns: Range<Int>)]
  let scale: Float
  let dropout: Dropout?
  /// Their matrices A, one below the other: [Σ rank, in].
  let down: Tensor
  /// scale · dropout(x) Aᵀ: [T, Σ rank]
  let low: Tensor

  /// Updates without dropout are joined; with it, each sees inputs of its own.
  static func of(_ projections: [Projection], _ input: Tensor, _ backend: any Backend) -> [LowRankUpdates] {
    var joined: [Float: [(Int, LowRank)]] = [:]
    var groups: [[(Int, LowRank)]] = []
    for (index, projection) in projections.enumerated() {
      guard let update = projection.update else { continue }
      if update.dropout == nil {
        joined[update.scale, default: []].append((index, update))
      } else {
        groups.append([(index, update)])
      }
    }
    groups += joined.sorted { $0.key < $1.key }.map(\.value)
    return groups.map { LowRankUpdates($0, input, backend) }
  }

  private init(_ updates: [(index: Int, update: LowRank)], _ input: Tensor, _ backend: any Backend) {
    var first = 0
    members = updates.map { index, update in
      defer { first += update.down.rows }
      return (index, update, first..<first + update.down.rows)
    }
    (scale, dropout) = (updates[0].update.scale, updates[0].update.dropout)
    down = updates.count == 1 ? updates[0].update.down : backend.joinRows(updates.map(\.update.down))
    let seen = dropout.map { backend.dropout(input, $0) } ?? input
    let product = backend.product(Factor(seen), Factor(down, transposed: true), scale: scale)
    low = backend.cast(product, to: input.dtype)
  }

  /// What it adds to the output of a projection, if it is one of its members.
  func term(of index: Int) -> ProductTerm? {
    members.first { $0.index == index }.map {
      ProductTerm(Factor(low, columns: $0.columns), Factor($0.update.up, transposed: true))
    }
  }

  /// - Parameters: `gradients` of the outputs, as products take them; `input`, x as they take it.
  /// - Returns: the gradients of A and B by projection, and d low, from which that of x follows.
  func pullback(
    _ gradients: [Tensor?], _ input: Tensor, _ backend: any Backend
  ) -> (own: [Int: Gradients], low: Tensor?) {
    let present = members.filter { gradients[$0.index] != nil }
    guard !present.isEmpty else { return ([:], nil) }
    let dLow = present.count == members.count ? backend.empty(low.shape, .float32) : backend.zeros(low.shape)
    let seen = dropout.map { backend.dropout(input, $0) } ?? input
    let gradientOfB = gradientOfB(backend)
    var ups: [Int: Tensor] = [:]
    for (index, update, columns) in present {
      guard let dy = gradients[index] else { continue }
      backend.product(Factor(dy), Factor(update.up), scale: scale, into: Factor(dLow, columns: columns))
      ups[index] = gradientOfB(dy, columns)
    }
    let dDown =
      input.dtype == .bfloat16
      ? backend.product(Factor(backend.transposed(dLow, as: .bfloat16)), Factor(seen))
      : backend.product(Factor(dLow, transposed: true), Factor(seen))
    var own: [Int: Gradients] = [:]
    for member in present {
      if let up = ups[member.index] { own[member.index] = (dDown.slice(member.columns), up) }
    }
    return (own, input.dtype == .bfloat16 ? backend.cast(dLow, to: .bfloat16) : dLow)
  }

  /// dy ↦ dyᵀ · low. A first factor in bf16 cannot be transposed, so there it is (lowᵀ · dy)ᵀ.
  private func gradientOfB(_ backend: any Backend) -> (_ dy: Tensor, _ columns: Range<Int>) -> Tensor {
    guard low.dtype == .bfloat16 else {
      return { dy, columns in backend.product(Factor(dy, transposed: true), Factor(low, columns: columns)) }
    }
    let lowTransposed = backend.transposed(low, as: .bfloat16)
    return { dy, columns in
      backend.transposed(backend.product(Factor(lowTransposed.slice(columns)), Factor(dy)), as: .float32)
    }
  }
}

/// dyᵀ · x or xᵀ · dy, f32. A first factor in bf16 cannot be transposed where it lies.
private func weightGradient(_ backend: any Backend, _ x: Tensor, _ dy: Tensor, _ layout: WeightLayout) -> Tensor {
  let (first, second) = layout == .outputsFirst ? (dy, x) : (x, dy)
  let across =
    first.dtype == .bfloat16 ? Factor(backend.transposed(first, as: .bfloat16)) : Factor(first, transposed: true)
  return backend.product(across, Factor(second))
}
