import RunFile
import Tensors

/// Lion (Chen et al. 2023, arXiv:2302.06675): w ← w(1 − ηλ) − η sign(β₁m + (1 − β₁)g), then m ← β₂m + (1 − β₂)g.
public struct Lion: OptimizerRule {
  public let name = OptimizerConfiguration.Name.lion
  let beta1, beta2: Double

  public init(_ configuration: OptimizerConfiguration) {
    (beta1, beta2) = (configuration.betas[0], configuration.betas[1])
  }

  public func state(for shape: [Int]) -> [StateTensor] { [StateTensor("first", shape)] }

  public func update(number: Int, _ state: [Tensor]) -> ParameterUpdate {
    .lion(beta1: beta1, beta2: beta2, mean: state[0])
  }
}
