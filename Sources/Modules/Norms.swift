import Tensors

/// A normalisation over the last dimension.
public protocol Norm: AnyObject {
  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor
}

public final class RMSNorm: Norm {
  let weight: Parameter
  let epsilon: Float

  public init(_ scope: Scope, width: Int, epsilon: Float) {
    weight = scope.parameter("weight", [width])
    self.epsilon = epsilon
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    context.rmsNorm(x, context[weight], epsilon: epsilon)
  }

  /// x itself and its norm, as `layer` takes it: the beginning of a residual branch.
  public func branch(
    _ x: Tensor, to layer: any LinearLayer, _ context: Context
  ) -> (residual: Tensor, normed: Tensor) {
    context.rmsNormBranch(x, context[weight], epsilon: epsilon, as: layer.inputType(context))
  }
}

public final class LayerNorm: Norm {
  let weight: Parameter
  let bias: Parameter
  let epsilon: Float

  public init(_ scope: Scope, width: Int, epsilon: Float) {
    weight = scope.parameter("weight", [width])
    bias = scope.parameter("bias", [width])
    self.epsilon = epsilon
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    context.layerNorm(x, context[weight], context[bias], epsilon: epsilon)
  }
}
