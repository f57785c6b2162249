extension Context {
  /// y = f(x), element by element.
  public func activate(_ kind: Activation, _ x: Tensor) -> Tensor {
    let backend = backend
    let y = backend.activate(kind, x)
    record("activate", inputs: [x], output: y) { [backend.activateBackward(kind, x, $0)] }
    return y
  }

  /// y = f(gate) · up, the gated unit of Llama's feed-forward layer (Shazeer 2020, arXiv:2002.05202).
  ///
  /// The backward pass overwrites gate and up: nothing else may need them then.
  public func gated(_ kind: Activation, gate: Tensor, up: Tensor) -> Tensor {
    let backend = backend
    let y = backend.gate(kind, gate, up)
    record("gated", inputs: [gate, up], output: y) { dy in
      backend.gateBackward(kind, gate, up, dy)
      return [gate, up]
    }
    return y
  }
}
