import Modules
import Tensors

/// The decoder that Llama, Qwen2 and their kin share: RMS norms before each part, rotary positions, grouped
/// heads, a gated feed-forward layer.
final class RotaryDecoder: LanguageModel {
  struct Configuration {
    var vocabularySize: Int
    var width: Int
    var hiddenWidth: Int
    var layers: Int
    var attention: AttentionShape
    var normEpsilon: Float
    var activation: Activation
    var theta: Double
    var scaling: RotaryEmbedding.Scaling
    var queryBias: Bool
    var outputBias: Bool
    var feedForwardBias: Bool
    var attentionDropout: Float
    var isTied: Bool
    /// The padding token; its embedding is not trained.
    var paddingToken: Int?
  }

  let width: Int
  let vocabularySize: Int
  let longestSequence: Int? = nil
  let head: (any LinearLayer)?
  var layerCount: Int { layers.count }
  let keyWidth: Int
  let virtualTokens: (any VirtualTokens)?
  private let embedding: Embedding
  private let layers: [RotaryDecoderLayer]
  private let norm: RMSNorm
  private let rotary: RotaryEmbedding

  /// - Parameters: `scope` holds `embed_tokens`, `layers` and `norm`; `headScope` holds `lm_head`, where there is one.
  init(_ configuration: Configuration, _ scope: Scope, headScope: Scope?) {
    width = configuration.width
    keyWidth = configuration.attention.keyHeads * configuration.attention.headWidth
    vocabularySize = configuration.vocabularySize
    virtualTokens = scope.virtualTokens(
      DecoderShape(layers: configuration.layers, width: configuration.width, attention: configuration.attention))
    embedding = Embedding(
      scope.child("embed_tokens"), count: configuration.vocabularySize, width: configuration.width,
      fixedRow: configuration.paddingToken)
    layers = (0..<configuration.layers).map {
      RotaryDecoderLayer(configuration, scope.child("layers.\($0)"), index: $0)
    }
    norm = RMSNorm(scope.child("norm"), width: configuration.width, epsilon: configuration.normEpsilon)
    rotary = RotaryEmbedding(
      headWidth: configuration.attention.headWidth, theta: configuration.theta, scaling: configuration.scaling)
    head = headScope?.linear(
      "lm_head", inputs: configuration.width, outputs: configuration.vocabularySize, bias: false,
      sharing: configuration.isTied ? embedding.weight : nil)
  }

  func embed(_ ids: Tensor, _ context: Context) -> Tensor { embedding(ids, context) }

  func decode(
    _ embeddings: Tensor, _ batch: TokenBatch, rows: Tensor?, cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    var hidden = embeddings
    for (index, layer) in layers.enumerated() {
      let wanted = index == layers.count - 1 ? rows : nil
      hidden = context.layer(hidden) { [rotary, virtualTokens] x, context in
        layer(x, batch, rotary: rotary, behind: virtualTokens, rows: wanted, cache: cache, context)
      }
    }
    return norm(hidden, context)
  }

  func states(_ embeddings: Tensor, _ batch: TokenBatch, depth: Int, _ context: Context) -> Tensor {
    if depth == layerCount { return decode(embeddings, batch, rows: nil, cache: nil, context) }
    return layers.prefix(depth).reduce(embeddings) { hidden, layer in
      layer(hidden, batch, rotary: rotary, behind: virtualTokens, rows: nil, cache: nil, context)
    }
  }
}

/// h = x + attention(norm(x)); y = h + feedForward(norm(h))
private final class RotaryDecoderLayer {
  private let index: Int
  private let shape: AttentionShape
  private let attentionDropout: Float
  private let path: String
  private let inputNorm: RMSNorm
  private let query, key, value, output: any LinearLayer
  private let feedForwardNorm: RMSNorm
  private let feedForward: GatedFeedForward
  private let attentionEnd, feedForwardEnd: (any BranchEnd)?

  init(_ configuration: RotaryDecoder.Configuration, _ scope: Scope, index: Int) {
    self.index = index
    path = scope.path
    shape = configuration.attention
    attentionDropout = configuration.attentionDropout
    let attention = scope.child("self_attn")
    let (width, bias) = (configuration.width, configuration.queryBias)
    let (queryWidth, keyWidth) = (shape.heads * shape.headWidth, shape.keyHeads * shape.headWidth)
    inputNorm = RMSNorm(scope.child("input_layernorm"), width: width, epsilon: configuration.normEpsilon)
    query = attention.linear("q_proj", inputs: width, outputs: queryWidth, bias: bias)
    key = attention.linear("k_proj", inputs: width, outputs: keyWidth, bias: bias)
    value = attention.linear("v_proj", inputs: width, outputs: keyWidth, bias: bias)
    output = attention.linear("o_proj", inputs: queryWidth, outputs: width, bias: configuration.outputBias)
    attentionEnd = scope.child("attention_adapters").branchEnd(.attention, width: width)
    feedForwardNorm = RMSNorm(
      scope.child("post_attention_layernorm"), width: width, epsilon: configuration.normEpsilon)
    feedForward = GatedFeedForward(
      scope.child("mlp"), width: width, hiddenWidth: configuration.hiddenWidth, bias: configuration.feedForwardBias,
      activation: configuration.activation)
    feedForwardEnd = scope.child("output_adapters").branchEnd(.feedForward, width: width)
  }

  /// - Parameter rows: where given, all that comes after attention is computed for these rows alone.
  func callAsFunction(
    _ x: Tensor, _ batch: TokenBatch, rotary: RotaryEmbedding, behind virtualTokens: (any VirtualTokens)?,
    rows: Tensor?, cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    var (before, normed) = inputNorm.branch(x, to: query, context)
    var attended = attend(normed, batch, rotary: rotary, behind: virtualTokens, cache: cache, context)
    if let rows { (before, attended) = (context.gatherRows(before, rows), context.gatherRows(attended, rows)) }
    let sum =
      attentionEnd.map { $0(output(attended, context), around: before, context) }
      ?? output(attended, context, addingTo: before)
    let (between, normedAgain) = feedForwardNorm.branch(sum, to: feedForward.gate, context)
    return feedForwardEnd.map { $0(feedForward(normedAgain, context), around: between, context) }
      ?? feedForward(normedAgain, context, addingTo: between)
  }

  private func attend(
    _ x: Tensor, _ batch: TokenBatch, rotary: RotaryEmbedding, behind virtualTokens: (any VirtualTokens)?,
    cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    let (positions, limit) = (batch.positions, batch.positionLimit)
    let parts = project(x, [query, key, value], context)
    let q = rotary(parts[0], heads: shape.heads, positions: positions, limit: limit, context)
    let k = rotary(parts[1], heads: shape.keyHeads, positions: positions, limit: limit, context)
    let seen = remembered(
      keys: k, values: parts[2], layer: index, virtualTokens: virtualTokens, runs: batch.sequences.queries,
      cache: cache, as: query.inputType(context), context)
    let dropout = Dropout(rate: attentionDropout, context.randomness?.named(path))
    return context.attention(
      q, seen.keys, seen.values, shape, batch.sequences, .causal, dropout: dropout, as: query.inputType(context))
  }
}
