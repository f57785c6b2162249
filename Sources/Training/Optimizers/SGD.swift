import RunFile
import Tensors

/// Gradient descent as `torch.optim.SGD`: g ← g + λw, v ← μv + g, w ← w − ηv, with Nesterov w − η(g + μv).
///
/// The weight decay λ is added to the gradient, so that momentum carries it along.
public struct SGD: OptimizerRule {
  public let name = OptimizerConfiguration.Name.sgd
  let momentum: Double
  let isNesterov: Bool

  public init(_ configuration: OptimizerConfiguration) {
    momentum = configuration.momentum
    isNesterov = configuration.nesterov
  }

  public func state(for shape: [Int]) -> [StateTensor] { momentum > 0 ? [StateTensor("velocity", shape)] : [] }

  public func update(number: Int, _ state: [Tensor]) -> ParameterUpdate {
    .sgd(momentum: momentum, isNesterov: isNesterov, velocity: state.first)
  }
}
