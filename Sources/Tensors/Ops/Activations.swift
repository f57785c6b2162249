import Foundation

extension Context {
  /// y = tanh(x), element by element, on the host: for the few rows that a pooler reads.
  public func tanh(_ x: Tensor) -> Tensor {
    let backend = backend
    let values = backend.read(x).map { Foundation.tanh($0) }
    let y = backend.tensor(values, x.shape)
    record("tanh", inputs: [x], output: y) { dy in
      [backend.tensor(zip(backend.read(dy), values).map { $0 * (1 - $1 * $1) }, dy.shape)]
    }
    return y
  }

  /// y = f(x), element by element.
  public func activate(_ kind: Activation, _ x: Tensor) -> Tensor {
    let backend = backend
    let y = backend.activate(kind, x)
    record("activate", inputs: [x], output: y) { [backend.activateBackward(kind, x, $0)] }
    offer(y) { backend.activate(kind, x) }
    return y
  }

  /// y = f(gate) · up, the gated unit of Llama's feed-forward layer (Shazeer 2020, arXiv:2002.05202).
  ///
  /// The backward pass may overwrite gate and up: nothing else may need them then.
  ///
  /// - Parameters: `type` of the result, as the next product takes it, and of the gradients, as the products before do.
  public func gated(
    _ kind: Activation, gate: Tensor, up: Tensor, as type: DType = .float32, gradientsAs gradientType: DType = .float32
  ) -> Tensor {
    let backend = backend
    let y = backend.gate(kind, gate, up, as: type)
    record("gated", inputs: [gate, up], output: y) { dy in
      let gradients = backend.gateBackward(kind, gate, up, dy, as: gradientType)
      return [gradients.gate, gradients.up]
    }
    // Half as large it is worth keeping: to make it again reads four times its bytes.
    if type == .float32 { offer(y) { backend.gate(kind, gate, up, as: type) } }
    return y
  }
}
