import RunFile
import Tensors

/// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), as `torch.optim.AdamW`: w ← w(1 − ηλ) − η m̂ / (√v̂ + ε).
public struct AdamW: OptimizerRule {
  public let name = OptimizerConfiguration.Name.adamw
  let constants: AdamConstants

  public init(_ configuration: OptimizerConfiguration = OptimizerConfiguration()) {
    constants = AdamConstants(configuration)
  }

  public func state(for shape: [Int]) -> [StateTensor] { [StateTensor("first", shape), StateTensor("second", shape)] }

  public func update(number: Int, _ state: [Tensor]) -> ParameterUpdate {
    .adamW(constants, first: state[0], second: state[1])
  }
}

extension AdamConstants {
  init(_ configuration: OptimizerConfiguration) {
    self.init(beta1: configuration.betas[0], beta2: configuration.betas[1], epsilon: configuration.epsilon)
  }
}
