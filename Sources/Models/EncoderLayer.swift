import Modules
import Tensors

/// h = x + attention(norm₁(x)); y = h + feedForward(norm₂(h)): a layer of the encoders of CLIP and SigLIP, for pictures
/// and for texts.
final class EncoderLayer {
  struct Configuration {
    var width: Int
    var hiddenWidth: Int
    var heads: Int
    var normEpsilon: Float
    var activation: Activation
    var attentionDropout: Float
    var mask = AttentionMask.bidirectional

    var attention: AttentionShape { AttentionShape(heads: heads, keyHeads: heads, headWidth: width / heads) }
  }

  private let configuration: Configuration
  private let path: String
  private let attentionNorm, feedForwardNorm: LayerNorm
  private let query, key, value, output: any LinearLayer
  private let feedForward: FeedForward
  private let attentionEnd, feedForwardEnd: (any BranchEnd)?

  init(_ configuration: Configuration, _ scope: Scope) {
    self.configuration = configuration
    let (width, epsilon) = (configuration.width, configuration.normEpsilon)
    path = scope.path
    let attention = scope.child("self_attn")
    attentionNorm = LayerNorm(scope.child("layer_norm1"), width: width, epsilon: epsilon)
    query = attention.linear("q_proj", inputs: width, outputs: width, bias: true)
    key = attention.linear("k_proj", inputs: width, outputs: width, bias: true)
    value = attention.linear("v_proj", inputs: width, outputs: width, bias: true)
    output = attention.linear("out_proj", inputs: width, outputs: width, bias: true)
    attentionEnd = scope.child("attention_adapters").branchEnd(.attention, width: width)
    feedForwardNorm = LayerNorm(scope.child("layer_norm2"), width: width, epsilon: epsilon)
    feedForward = FeedForward(
      first: scope.linear("mlp.fc1", inputs: width, outputs: configuration.hiddenWidth, bias: true),
      second: scope.linear("mlp.fc2", inputs: configuration.hiddenWidth, outputs: width, bias: true),
      activation: configuration.activation)
    feedForwardEnd = scope.child("output_adapters").branchEnd(.feedForward, width: width)
  }

  /// - Parameter rows: where given, all that comes after attention is computed for these rows alone.
  func callAsFunction(_ x: Tensor, _ sequences: Sequences, rows: Tensor? = nil, _ context: Context) -> Tensor {
    let normed = attentionNorm(x, context)
    let dropout = Dropout(rate: configuration.attentionDropout, context.randomness?.named(path))
    let parts = project(normed, [query, key, value], context)
    var attended = context.attention(
      parts[0], parts[1], parts[2], configuration.attention, sequences, configuration.mask, dropout: dropout,
      as: query.inputType(context))
    var before = x
    if let rows { (before, attended) = (context.gatherRows(before, rows), context.gatherRows(attended, rows)) }
    let hidden = sum(before, output(attended, context), attentionEnd, context)
    return sum(hidden, feedForward(feedForwardNorm(hidden, context), context), feedForwardEnd, context)
  }

  private func sum(_ x: Tensor, _ h: Tensor, _ end: (any BranchEnd)?, _ context: Context) -> Tensor {
    end.map { $0(h, around: x, context) } ?? context.add(x, h)
  }
}
