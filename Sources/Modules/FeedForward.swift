import Tensors

/// y = W₂ f(W₁ x), the two-layer perceptron of encoders, GPT-2 and the LLaVA projector.
public final class FeedForward {
  let first: any LinearLayer
  let second: any LinearLayer
  let activation: Activation
  /// How wide y is.
  public var outputs: Int { second.base.outputs }

  public init(first: any LinearLayer, second: any LinearLayer, activation: Activation) {
    self.first = first
    self.second = second
    self.activation = activation
  }

  /// - Parameter residual: added where given.
  public func callAsFunction(_ x: Tensor, _ context: Context, addingTo residual: Tensor? = nil) -> Tensor {
    second(context.activate(activation, first(x, context)), context, addingTo: residual)
  }
}

/// y = W_down (f(W_gate x) · W_up x), Llama's feed-forward layer.
public final class GatedFeedForward {
  public let gate: any LinearLayer
  let up: any LinearLayer
  let down: any LinearLayer
  let activation: Activation

  public init(_ scope: Scope, width: Int, hiddenWidth: Int, bias: Bool, activation: Activation) {
    gate = scope.linear("gate_proj", inputs: width, outputs: hiddenWidth, bias: bias)
    up = scope.linear("up_proj", inputs: width, outputs: hiddenWidth, bias: bias)
    down = scope.linear("down_proj", inputs: hiddenWidth, outputs: width, bias: bias)
    self.activation = activation
  }

  /// - Parameter residual: added where given.
  public func callAsFunction(_ x: Tensor, _ context: Context, addingTo residual: Tensor? = nil) -> Tensor {
    let parts = project(x, [gate, up], context)
    let gated = context.gated(
      activation, gate: parts[0], up: parts[1], as: down.inputType(context), gradientsAs: gate.inputType(context))
    return down(gated, context, addingTo: residual)
  }
}
