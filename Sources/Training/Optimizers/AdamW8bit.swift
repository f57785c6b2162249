import RunFile
import Tensors

/// AdamW with moments in 8 bits (Dettmers et al. 2022, arXiv:2110.02861), as `bitsandbytes.optim.AdamW8bit`: blocks of 256
/// in a dynamic map, signed for the first moment and unsigned for the second, each block scaled by its largest number.
/// An update computes in F32 and rounds the moments to the nearest codes afterwards.
public struct AdamW8bit: OptimizerRule {
  /// Parameters with fewer elements keep moments in F32.
  static let smallestCount = 4096

  public let name = OptimizerConfiguration.Name.adamw8bit
  let constants: AdamConstants

  public init(_ configuration: OptimizerConfiguration) { constants = AdamConstants(configuration) }

  public func state(for shape: [Int]) -> [StateTensor] {
    let count = shape.reduce(1, *)
    guard count >= AdamW8bit.smallestCount else { return [StateTensor("first", shape), StateTensor("second", shape)] }
    let scales = [BlockCodes.blocks(of: count)]
    return [
      StateTensor("first", shape, .uint8), StateTensor("first_scale", scales), StateTensor("second", shape, .uint8),
      StateTensor("second_scale", scales),
    ]
  }

  public func update(number: Int, _ state: [Tensor]) -> ParameterUpdate {
    guard state.count == 4 else { return .adamW(constants, first: state[0], second: state[1]) }
    return .adamW8bit(
      constants, first: BlockCodes(codes: state[0], scales: state[1]),
      second: BlockCodes(codes: state[2], scales: state[3]))
  }
}
