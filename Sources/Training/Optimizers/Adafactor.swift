import Foundation
import RunFile
import Tensors

/// Adafactor (Shazeer & Stern 2018, arXiv:1804.04235), as `transformers.optimization.Adafactor` with
/// `relative_step=False`: the rate is the run file's. Matrices keep means over rows and columns of g² + ε in place of g²
/// itself: u = g / √(row · column / mean of rows), shortened to the root mean square `clip_threshold`. What is kept of the
/// means in update t is 1 − t^decay_rate.
public struct Adafactor: OptimizerRule {
  public let name = OptimizerConfiguration.Name.adafactor
  let epsilon, clipThreshold, decayRate, momentum: Double
  let smallestScale: Double?

  public init(_ configuration: OptimizerConfiguration) {
    epsilon = configuration.epsilon
    clipThreshold = configuration.clipThreshold
    decayRate = configuration.decayRate
    momentum = configuration.momentum
    smallestScale = configuration.scaleParameter ? configuration.smallestScale : nil
  }

  public func state(for shape: [Int]) -> [StateTensor] {
    let squares =
      shape.count > 1
      ? [StateTensor("rows", Array(shape.dropLast())), StateTensor("columns", shape.dropLast(2) + shape.suffix(1))]
      : [StateTensor("second", shape)]
    return squares + (momentum > 0 ? [StateTensor("first", shape)] : [])
  }

  public func update(number: Int, _ state: [Tensor]) -> ParameterUpdate {
    let mean = momentum > 0 ? state.last : nil
    let squares = state.prefix(state.count - (mean == nil ? 0 : 1))
    return .adafactor(
      AdafactorConstants(
        epsilon: epsilon, keep: 1 - pow(Double(number), decayRate), clipThreshold: clipThreshold,
        smallestScale: smallestScale, momentum: momentum),
      AdafactorState(rows: squares.count > 1 ? squares[0] : nil, columns: squares[squares.count - 1], mean: mean))
  }
}
