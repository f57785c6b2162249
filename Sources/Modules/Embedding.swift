import Tensors

/// A table of vectors, looked up by index: [N, D].
public final class Embedding {
  public let weight: Parameter
  private let fixedRow: Int?

  /// - Parameter fixedRow: the padding token, whose vector training leaves as it is.
  public init(_ scope: Scope, count: Int, width: Int, fixedRow: Int? = nil) {
    self.fixedRow = fixedRow
    weight = scope.parameter("weight", [count, width])
  }

  /// indices [T] → [T, D]
  public func callAsFunction(_ indices: Tensor, _ context: Context) -> Tensor {
    context.gatherRows(context[weight], indices, fixedRow: fixedRow)
  }
}
