import Modules
import Tensors

/// SigLIP's pooling of a picture: a learned query attends to all states (Lee et al. 2019, arXiv:1810.00825), then
/// y = x + feedForward(norm(x)).
///
/// Its attention is of one matrix for queries, keys and values, as `torch.nn.MultiheadAttention` stores it.
final class PoolingHead {
  private let configuration: EncoderLayer.Configuration
  private let probe, weight, bias, outputWeight, outputBias: Parameter
  private let norm: LayerNorm
  private let feedForward: FeedForward

  init(_ configuration: EncoderLayer.Configuration, _ scope: Scope) {
    self.configuration = configuration
    let (width, hidden) = (configuration.width, configuration.hiddenWidth)
    probe = scope.parameter("probe", [1, 1, width])
    weight = scope.parameter("attention.in_proj_weight", [3 * width, width])
    bias = scope.parameter("attention.in_proj_bias", [3 * width])
    outputWeight = scope.parameter("attention.out_proj.weight", [width, width])
    outputBias = scope.parameter("attention.out_proj.bias", [width])
    norm = LayerNorm(scope.child("layernorm"), width: width, epsilon: configuration.normEpsilon)
    feedForward = FeedForward(
      first: scope.linear("mlp.fc1", inputs: width, outputs: hidden, bias: true),
      second: scope.linear("mlp.fc2", inputs: hidden, outputs: width, bias: true),
      activation: configuration.activation)
  }

  /// states [n·P, D] of n pictures → [n, D]
  func callAsFunction(_ states: Tensor, count: Int, _ context: Context) -> Tensor {
    let (backend, width, patches) = (context.backend, configuration.width, states.rows / count)
    let (query, key, value) = (0..<width, width..<2 * width, 2 * width..<3 * width)
    let projection = Projection(context[weight], bias: context[bias])
    let probes = context.gatherRows(
      context.reshape(context[probe], [1, width]), backend.tensor([Int32](repeating: 0, count: count)))
    let keys = context.columns(context.linear(states, projection), [key, value])
    let sequences = Sequences(
      queries: (0..<count).map { $0..<$0 + 1 }, keys: (0..<count).map { $0 * patches..<($0 + 1) * patches })
    let attended = context.attention(
      context.columns(context.linear(probes, projection), [query])[0], keys[0], keys[1], configuration.attention,
      sequences, .bidirectional, as: context.factorType(beside: weight.typeInUse))
    let pooled = context.linear(attended, Projection(context[outputWeight], bias: context[outputBias]))
    return context.add(pooled, feedForward(norm(pooled, context), context))
  }
}
