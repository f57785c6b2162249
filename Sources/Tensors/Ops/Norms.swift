extension Context {
  /// y = x / √(mean(x²) + ε) · weight, over the last dimension (Zhang & Sennrich 2019, arXiv:1910.07467).
  public func rmsNorm(_ x: Tensor, _ weight: Tensor, epsilon: Float) -> Tensor {
    let backend = backend
    let (y, inverse) = backend.rmsNorm(x, weight, epsilon: epsilon, as: .float32)
    let wants = NormGradients(input: tracks(x), weight: tracks(weight))
    record("rmsNorm", inputs: [x, weight], output: y) { dy in
      let gradients = backend.rmsNormBackward(x, weight, inverse, dy, addingTo: nil, wants: wants)
      return [gradients.x, gradients.weight]
    }
    return y
  }

  /// x itself and its norm, for a residual branch: the gradients of both become one in one pass.
  ///
  /// - Parameter type: of the norm, as the products that follow take it.
  public func rmsNormBranch(
    _ x: Tensor, _ weight: Tensor, epsilon: Float, as type: DType = .float32
  ) -> (residual: Tensor, normed: Tensor) {
    let backend = backend
    let (y, inverse) = backend.rmsNorm(x, weight, epsilon: epsilon, as: type)
    let residual = x.reshaped(x.shape)
    let wants = NormGradients(input: tracks(x), weight: tracks(weight))
    record("rmsNormBranch", inputs: [x, weight], outputs: [residual, y]) { gradients in
      guard let dy = gradients[1] else { return [gradients[0], nil] }
      let found = backend.rmsNormBackward(x, weight, inverse, dy, addingTo: gradients[0], wants: wants)
      return [found.x, found.weight]
    }
    offer(y) { backend.rmsNorm(x, weight, epsilon: epsilon, as: type).y }
    return (residual, y)
  }

  /// y = (x − mean) / √(variance + ε) · weight + bias, over the last dimension (Ba et al. 2016, arXiv:1607.06450).
  public func layerNorm(_ x: Tensor, _ weight: Tensor, _ bias: Tensor, epsilon: Float) -> Tensor {
    let backend = backend
    let (y, mean, inverse) = backend.layerNorm(x, weight, bias, epsilon: epsilon)
    let wants = NormGradients(input: tracks(x), weight: tracks(weight) || tracks(bias))
    record("layerNorm", inputs: [x, weight, bias], output: y) { dy in
      let gradients = backend.layerNormBackward(x, weight, mean, inverse, dy, wants: wants)
      return [gradients.x, gradients.weight, gradients.bias]
    }
    offer(y) { backend.layerNorm(x, weight, bias, epsilon: epsilon).y }
    return y
  }
}
