import Datasets
import Tensors

/// Noise on the embeddings of text while it is trained on (NEFTune, Jain et al. 2023, arXiv:2310.05914):
/// U(−1, 1) · α / √(L · D) for every number of a sample of L tokens, D wide.
///
/// L counts the tokens of pictures and no padding; their rows are replaced by what the projector makes, without noise.
/// A sample's noise depends on the seed, the step and its place in the global batch alone.
public struct EmbeddingNoise: Equatable, Sendable {
  public var alpha: Double

  public init(alpha: Double) { self.alpha = alpha }

  /// - Parameters: `first`, the number of the batch's first sample in the global batch; `stream`, that of the step.
  /// - Returns: [T, width]
  func callAsFunction(_ batch: Batch, first: Int, width: Int, _ stream: RandomStream, _ backend: any Backend) -> Tensor
  {
    var values: [Float] = []
    values.reserveCapacity(batch.tokens * width)
    for sample in 0..<batch.offsets.count - 1 {
      let count = Int(batch.offsets[sample + 1] - batch.offsets[sample]) * width
      let size = alpha / Double(max(count, 1)).squareRoot()
      let draws = RandomStream([stream.key, UInt64(first + sample)])
      for index in 0..<count { values.append(Float((draws.uniform(at: index) * 2 - 1) * size)) }
    }
    return backend.tensor(values, [batch.tokens, width])
  }
}
