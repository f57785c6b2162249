import Tensors

/// Random weights to begin with, by the kind of the weight.
///
/// A matrix `[out, in]` has deviation 1/√in, so that its outputs are as large as its inputs; those that end a
/// residual branch are 1/√(2·layers) of that (Radford et al. 2019), embeddings 0.05, positions 0.1. Norms are 1,
/// biases 0. The numbers are a pure function of seed and name.
public struct FreshWeights: Sendable {
  let seed: UInt64
  /// How many layers the vision encoder and the language model have.
  let layers: (vision: Int, language: Int)

  public init(seed: UInt64, visionLayers: Int, languageLayers: Int) {
    self.seed = seed
    layers = (visionLayers, languageLayers)
  }

  /// The values of the parameter that is called `name`, row-major.
  public func values(of name: String, shape: [Int]) -> [Float] {
    let count = shape.reduce(1, *)
    if name.hasSuffix(".bias") { return Array(repeating: 0, count: count) }
    if name.contains("norm") { return Array(repeating: 1, count: count) }
    let deviation = deviation(of: name, inputs: shape.dropFirst().reduce(1, *))
    let stream = RandomStream([seed]).named(name)
    return (0..<count).map { Float(deviation * stream.normal(at: $0)) }
  }

  private func deviation(of name: String, inputs: Int) -> Double {
    if name.contains("position_embedding") { return 0.1 }
    if name.contains("embed_tokens") || name.contains("lm_head") { return 0.05 }
    let plain = 1 / Double(inputs).squareRoot()
    if name.hasSuffix("out_proj.weight") || name.hasSuffix("fc2.weight") {
      return plain / Double(2 * layers.vision).squareRoot()
    }
    if name.hasSuffix("o_proj.weight") || name.hasSuffix("down_proj.weight") {
      return plain / Double(2 * layers.language).squareRoot()
    }
    return plain
  }
}
