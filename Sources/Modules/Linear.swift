import Tensors

/// A layer that multiplies by a matrix, bare or wrapped by transforms.
public protocol LinearLayer: AnyObject {
  /// The bare layer under all wrappers.
  var base: Linear { get }
  /// What it multiplies by, its parameters recorded as used.
  func projection(_ context: Context) -> Projection
}

extension LinearLayer {
  /// What its products take x as: bf16 where they take the weight so, on a device that multiplies such numbers.
  public func inputType(_ context: Context) -> DType { context.factorType(beside: base.weight.typeInUse) }

  /// [T, inputs] → [T, outputs]
  ///
  /// - Parameter residual: [T, outputs], added where given.
  public func callAsFunction(_ x: Tensor, _ context: Context, addingTo residual: Tensor? = nil) -> Tensor {
    context.linear(x, projection(context), addingTo: residual)
  }
}

/// Several layers of the same x, as one: [T, inputs] → [T, outputs] each.
public func project(_ x: Tensor, _ layers: [any LinearLayer], _ context: Context) -> [Tensor] {
  context.linear(x, layers.map { $0.projection(context) })
}

/// y = x Wᵀ + b
public final class Linear: LinearLayer {
  public let path: String
  public let inputs: Int
  public let outputs: Int
  public let layout: WeightLayout
  public let weight: Parameter
  public let bias: Parameter?
  /// Whether the weight belongs to another module too, as a tied head's does.
  public let isTied: Bool

  init(
    _ scope: Scope, inputs: Int, outputs: Int, bias: Bool, layout: WeightLayout, sharing shared: Parameter?
  ) {
    path = scope.path
    self.inputs = inputs
    self.outputs = outputs
    self.layout = layout
    isTied = shared != nil
    weight = shared ?? scope.parameter("weight", layout == .outputsFirst ? [outputs, inputs] : [inputs, outputs])
    self.bias = bias ? scope.parameter("bias", [outputs]) : nil
  }

  public var base: Linear { self }

  public func projection(_ context: Context) -> Projection { projection(context, update: nil) }

  /// With a low-rank update of the weight.
  public func projection(_ context: Context, update: LowRank?) -> Projection {
    Projection(context[weight], bias: bias.map { context[$0] }, layout: layout, update: update)
  }
}
