extension Context {
  /// y = x / √(mean(x²) + ε) · weight, over the last dimension (Zhang & Sennrich 2019, arXiv:1910.07467).
  public func rmsNorm(_ x: Tensor, _ weight: Tensor, epsilon: Float) -> Tensor {
    let backend = backend
    let (y, inverse) = backend.rmsNorm(x, weight, epsilon: epsilon)
    let wants = NormGradients(input: tracks(x), weight: tracks(weight))
    record("rmsNorm", inputs: [x, weight], output: y) { dy in
      let gradients = backend.rmsNormBackward(x, weight, inverse, dy, wants: wants)
      return [gradients.x, gradients.weight]
    }
    return y
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
    return y
  }
}
