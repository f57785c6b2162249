import Tensors

/// The two residual branches of a layer.
public enum Branch: Sendable { case attention, feedForward }

/// What ends a residual branch in place of the plain sum x + h, as adapters do.
public protocol BranchEnd: AnyObject {
  /// - Parameters: h [T, D], what the branch gave, dropout included; x [T, D], what goes around it; `norm`, what the sum
  ///   goes through in models that norm it (BERT), which is then left to this end.
  /// - Returns: [T, D], in place of x + h, or of norm(x + h).
  func callAsFunction(_ h: Tensor, around x: Tensor, norm: (any Norm)?, _ context: Context) -> Tensor
}

extension BranchEnd {
  public func callAsFunction(_ h: Tensor, around x: Tensor, _ context: Context) -> Tensor {
    self(h, around: x, norm: nil, context)
  }
}
