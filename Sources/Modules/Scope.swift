import Tensors

/// What a model under construction is made of: its parameters and linear layers, in the order of the forward pass.
public final class Blueprint {
  /// All parameters, each once, first used first.
  public private(set) var parameters: [Parameter] = []
  /// Every linear layer by its path, as the checkpoint has it, beneath whatever transforms put around it.
  public private(set) var linears: [Linear] = []
  let transforms: [any ModelTransform]
  private var names: Set<String> = []

  public init(transforms: [any ModelTransform] = []) { self.transforms = transforms }

  func register(_ parameter: Parameter) {
    precondition(names.insert(parameter.name).inserted, "two parameters are named \(parameter.name)")
    parameters.append(parameter)
  }

  func register(_ linear: Linear) { linears.append(linear) }

  public var root: Scope { Scope(blueprint: self, path: "") }
}

/// A place in a model's tree of names, where modules ask for their parameters and layers.
public struct Scope {
  let blueprint: Blueprint
  /// Dotted path, such as `model.language_model.layers.0`.
  public let path: String

  /// The place `name` below this one; `name` may be dotted.
  public func child(_ name: String) -> Scope {
    Scope(blueprint: blueprint, path: path.isEmpty ? name : "\(path).\(name)")
  }

  public func parameter(_ name: String, _ shape: [Int]) -> Parameter {
    let parameter = Parameter(name: child(name).path, shape: shape)
    blueprint.register(parameter)
    return parameter
  }

  /// A linear layer, with what the model's transforms make of it.
  public func linear(
    _ name: String, inputs: Int, outputs: Int, bias: Bool, layout: WeightLayout = .outputsFirst,
    sharing weight: Parameter? = nil
  ) -> any LinearLayer {
    let scope = child(name)
    let linear = Linear(scope, inputs: inputs, outputs: outputs, bias: bias, layout: layout, sharing: weight)
    blueprint.register(linear)
    var layer: any LinearLayer = linear
    for transform in blueprint.transforms { layer = transform.transform(layer, in: scope) }
    return layer
  }

  /// What transforms put at the end of a residual branch, whose place this is; nil: the plain sum.
  public func branchEnd(_ branch: Branch, width: Int) -> (any BranchEnd)? {
    let found = blueprint.transforms.compactMap { $0.branchEnd(branch, width: width, in: self) }
    precondition(found.count <= 1, "\(path): two ends of one branch")
    return found.first
  }

  /// What transforms put in front of every sequence of a decoder, whose place this is.
  public func virtualTokens(_ shape: DecoderShape) -> (any VirtualTokens)? {
    let found = blueprint.transforms.compactMap { $0.virtualTokens(shape, in: self) }
    precondition(found.count <= 1, "\(path): two kinds of virtual tokens")
    return found.first
  }
}

/// Replaces and adds to layers of a model while it is built, before any weight exists: LoRA, quantisation, prompts.
public protocol ModelTransform {
  /// `layer` itself, or a layer that wraps it; parameters of its own are asked for in `scope`, the layer's place.
  func transform(_ layer: any LinearLayer, in scope: Scope) -> any LinearLayer
  /// What is to stand in front of every sequence of a decoder; its parameters are asked for in `scope`, the decoder's place.
  func virtualTokens(_ shape: DecoderShape, in scope: Scope) -> (any VirtualTokens)?
  /// What is to end a residual branch of `width` numbers; its parameters are asked for in `scope`, the end's place.
  func branchEnd(_ branch: Branch, width: Int, in scope: Scope) -> (any BranchEnd)?
}

extension ModelTransform {
  public func transform(_ layer: any LinearLayer, in scope: Scope) -> any LinearLayer { layer }
  public func virtualTokens(_ shape: DecoderShape, in scope: Scope) -> (any VirtualTokens)? { nil }
  public func branchEnd(_ branch: Branch, width: Int, in scope: Scope) -> (any BranchEnd)? { nil }
}
