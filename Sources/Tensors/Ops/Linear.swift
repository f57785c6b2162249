/// How a weight matrix is stored.
public enum WeightLayout: Sendable {
  /// [out, in], as `torch.nn.Linear` stores it.
  case outputsFirst
  /// [in, out], as GPT-2's Conv1D stores it.
  case inputsFirst
}

/// A low-rank update of a linear layer (LoRA, Hu et al. 2021, arXiv:2106.09685).
public struct LowRank {
  /// [rank, in]
  public let down: Tensor
  /// [out, rank]
  public let up: Tensor
  /// α / rank
  public let scale: Float
  /// What the update does not see of its inputs.
  public let dropout: Dropout?

  public init(down: Tensor, up: Tensor, scale: Float, dropout: Dropout? = nil) {
    self.down = down
    self.up = up
    self.scale = scale
    self.dropout = dropout
  }
}

extension Context {
  /// y = x Wᵀ + b, and with a low-rank update + scale · (dropout(x) Aᵀ) Bᵀ.
  ///
  /// - Parameters: x [T, in], weight [out, in] (or [in, out], see `layout`), bias [out].
  /// - Returns: [T, out]
  public func linear(
    _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, layout: WeightLayout = .outputsFirst, update: LowRank? = nil
  ) -> Tensor {
    let backend = backend
    let isTransposed = layout == .outputsFirst
    var y = backend.product(x, transposed: false, weight, transposed: isTransposed, scale: 1, addingTo: nil)
    if let bias { y = backend.addBias(y, bias) }
    guard let update else {
      let wants = (x: tracks(x), weight: tracks(weight), bias: bias.map(tracks) ?? false)
      record("linear", inputs: [x, weight] + (bias.map { [$0] } ?? []), output: y) { dy in
        let dx =
          wants.x
          ? backend.product(dy, transposed: false, weight, transposed: !isTransposed, scale: 1, addingTo: nil) : nil
        let dWeight = wants.weight ? weightGradient(backend, x, dy, layout) : nil
        return [dx, dWeight, wants.bias ? backend.columnSum(dy) : nil]
      }
      return y
    }

    let seen = update.dropout.map { backend.dropout(x, $0) } ?? x
    let low = backend.product(seen, transposed: false, update.down, transposed: true, scale: 1, addingTo: nil)
    y = backend.product(low, transposed: false, update.up, transposed: true, scale: update.scale, addingTo: y)
    let wants = (
      x: tracks(x), weight: tracks(weight), bias: bias.map(tracks) ?? false, update: tracks(update.down)
    )
    record("linear+lora", inputs: [x, weight, update.down, update.up] + (bias.map { [$0] } ?? []), output: y) { dy in
      let dLow = backend.product(
        dy, transposed: false, update.up, transposed: false, scale: update.scale, addingTo: nil)
      let dUp =
        wants.update
        ? backend.product(dy, transposed: true, low, transposed: false, scale: update.scale, addingTo: nil) : nil
      let dDown =
        wants.update
        ? backend.product(dLow, transposed: true, seen, transposed: false, scale: 1, addingTo: nil) : nil
      var dx: Tensor?
      if wants.x {
        let direct = backend.product(
          dy, transposed: false, weight, transposed: !isTransposed, scale: 1, addingTo: nil)
        if let dropout = update.dropout {
          let through = backend.product(
            dLow, transposed: false, update.down, transposed: false, scale: 1, addingTo: nil)
          dx = backend.add(direct, backend.dropout(through, dropout))
        } else {
          dx = backend.product(dLow, transposed: false, update.down, transposed: false, scale: 1, addingTo: direct)
        }
      }
      let dWeight = wants.weight ? weightGradient(backend, x, dy, layout) : nil
      return [dx, dWeight, dDown, dUp, wants.bias ? backend.columnSum(dy) : nil]
    }
    return y
  }
}

private func weightGradient(_ backend: any Backend, _ x: Tensor, _ dy: Tensor, _ layout: WeightLayout) -> Tensor {
  switch layout {
  case .outputsFirst: backend.product(dy, transposed: true, x, transposed: false, scale: 1, addingTo: nil)
  case .inputsFirst: backend.product(x, transposed: true, dy, transposed: false, scale: 1, addingTo: nil)
  }
}
