extension Context {
  /// softmax(q kᵀ / √headWidth) v within each sequence (Vaswani et al. 2017, arXiv:1706.03762).
  ///
  /// - Parameters: q [Tq, heads·headWidth], k and v [Tk, keyHeads·headWidth];
  ///   `dropout` drops attention weights; `type` is what the factors of its products are rounded to.
  /// - Returns: [Tq, heads·headWidth]
  public func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ sequences: Sequences, _ mask: AttentionMask,
    dropout: Dropout? = nil, as type: DType = .float32
  ) -> Tensor {
    let backend = backend
    let inputs = [q, k, v]
    let (q, k, v) = (backend.cast(q, to: type), backend.cast(k, to: type), backend.cast(v, to: type))
    let (y, logSum) = backend.attention(q, k, v, shape, sequences, mask, dropout: dropout)
    // The pullback needs the output's numbers; a view has an identity of its own, so nothing holds itself.
    let kept = y.reshaped(y.shape)
    record("attention", inputs: inputs, output: y) { dy in
      let gradients = backend.attentionBackward(
        q, k, v, kept, logSum, dy, shape, sequences, mask, dropout: dropout)
      return [gradients.q, gradients.k, gradients.v]
    }
    return y
  }

  /// Rotary positions on every head (Su et al. 2021, arXiv:2104.09864), halves paired as Llama pairs them.
  ///
  /// The numbers of x are turned where they lie: nothing else may need them as they were.
  ///
  /// - Parameters: x [T, heads·headWidth], positions [T], cosines and sines [positions, headWidth / 2].
  public func rotary(_ x: Tensor, heads: Int, positions: Tensor, cosines: Tensor, sines: Tensor) -> Tensor {
    let backend = backend
    backend.rotary(x, heads: heads, positions: positions, cosines: cosines, sines: sines, inverse: false)
    let y = x.reshaped(x.shape)
    record("rotary", inputs: [x], output: y) { dy in
      let dx = backend.scale(dy, by: 1)
      backend.rotary(dx, heads: heads, positions: positions, cosines: cosines, sines: sines, inverse: true)
      return [dx]
    }
    return y
  }
}
