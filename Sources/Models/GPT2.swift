import Ground
import Modules
import Tensors

/// GPT-2 (Radford et al. 2019): layer norms before each part, learned positions, weights stored [in, out].
func makeGPT2(
  _ reader: ConfigurationReader, _ root: Scope, _ place: LanguagePlace
) throws -> any LanguageModel {
  let width = try reader.integer("n_embd", default: 768)
  let configuration = GPT2.Configuration(
    vocabularySize: try reader.integer("vocab_size", default: 50257),
    positions: try reader.integer("n_positions", default: 1024), width: width,
    hiddenWidth: try reader.integer("n_inner", default: 4 * width),
    layers: try reader.layers("n_layer", default: 12), heads: try reader.integer("n_head", default: 12),
    normEpsilon: Float(try reader.number("layer_norm_epsilon", default: 1e-5)),
    activation: try reader.activation("activation_function", default: "gelu_new"),
    embeddingDropout: Float(try reader.number("embd_pdrop", default: 0.1)),
    residualDropout: Float(try reader.number("resid_pdrop", default: 0.1)),
    attentionDropout: Float(try reader.number("attn_pdrop", default: 0.1)),
    isTied: try reader.flag("tie_word_embeddings", default: true))
  guard width % configuration.heads == 0 else {
    throw Fault(
      .badConfiguration, "n_embd \(width) is not a multiple of n_head \(configuration.heads)", at: reader.place,
      "correct config.json")
  }
  try reader.require("scale_attn_weights", in: true)
  try reader.require("scale_attn_by_inverse_layer_idx", in: false)
  reader.ignore(
    "n_ctx", "reorder_and_upcast_attn", "summary_type", "summary_use_proj", "summary_activation",
    "summary_proj_to_labels", "summary_first_dropout")
  try reader.finish()
  return GPT2(
    configuration, root.child(place.isNested ? "model.language_model" : "transformer"),
    headScope: place.hasHead ? root : nil)
}

final class GPT2: LanguageModel {
  struct Configuration {
    var vocabularySize: Int
    var positions: Int
    var width: Int
    var hiddenWidth: Int
    var layers: Int
    var heads: Int
    var normEpsilon: Float
    var activation: Activation
    var embeddingDropout: Float
    var residualDropout: Float
    var attentionDropout: Float
    var isTied: Bool
  }

  let width: Int
  let vocabularySize: Int
  let longestSequence: Int?
  let head: (any LinearLayer)?
  var layerCount: Int { layers.count }
  let virtualTokens: (any VirtualTokens)?
  private let path: String
  private let embeddingDropout: Float
  private let tokens, positions: Embedding
  private let layers: [GPT2Layer]
  private let norm: LayerNorm

  init(_ configuration: Configuration, _ scope: Scope, headScope: Scope?) {
    path = scope.path
    width = configuration.width
    vocabularySize = configuration.vocabularySize
    longestSequence = configuration.positions
    embeddingDropout = configuration.embeddingDropout
    virtualTokens = scope.virtualTokens(
      DecoderShape(
        layers: configuration.layers, width: configuration.width,
        attention: AttentionShape(
          heads: configuration.heads, keyHeads: configuration.heads,
          headWidth: configuration.width / configuration.heads)))
    tokens = Embedding(scope.child("wte"), count: configuration.vocabularySize, width: configuration.width)
    positions = Embedding(scope.child("wpe"), count: configuration.positions, width: configuration.width)
    layers = (0..<configuration.layers).map { GPT2Layer(configuration, scope.child("h.\($0)"), index: $0) }
    norm = LayerNorm(scope.child("ln_f"), width: configuration.width, epsilon: configuration.normEpsilon)
    head = headScope?.linear(
      "lm_head", inputs: configuration.width, outputs: configuration.vocabularySize, bias: false,
      sharing: configuration.isTied ? tokens.weight : nil)
  }

  func embed(_ ids: Tensor, _ context: Context) -> Tensor { tokens(ids, context) }

  func decode(
    _ embeddings: Tensor, _ batch: TokenBatch, rows: Tensor?, cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    var hidden = run(embeddings, batch, depth: layerCount, cache: cache, context)
    if let rows { hidden = context.gatherRows(hidden, rows) }
    return norm(hidden, context)
  }

  func states(_ embeddings: Tensor, _ batch: TokenBatch, depth: Int, _ context: Context) -> Tensor {
    let hidden = run(embeddings, batch, depth: depth, cache: nil, context)
    return depth == layerCount ? norm(hidden, context) : hidden
  }

  private func run(
    _ embeddings: Tensor, _ batch: TokenBatch, depth: Int, cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    var hidden = context.add(embeddings, positions(batch.positions, context))
    hidden = context.dropout(hidden, Dropout(rate: embeddingDropout, context.randomness?.named(path)))
    for layer in layers.prefix(depth) {
      hidden = context.layer(hidden) { [virtualTokens] x, context in
        layer(x, batch, behind: virtualTokens, cache: cache, context)
      }
    }
    return hidden
  }
}

private final class GPT2Layer {
  private let index: Int
  private let path: String
  private let shape: AttentionShape
  private let residualDropout, attentionDropout: Float
  private let attentionNorm, feedForwardNorm: LayerNorm
  private let queryKeyValue, output: any LinearLayer
  private let feedForward: FeedForward
  private let attentionEnd, feedForwardEnd: (any BranchEnd)?

  init(_ configuration: GPT2.Configuration, _ scope: Scope, index: Int) {
    let (width, epsilon) = (configuration.width, configuration.normEpsilon)
    self.index = index
    path = scope.path
    shape = AttentionShape(
      heads: configuration.heads, keyHeads: configuration.heads, headWidth: width / configuration.heads)
    residualDropout = configuration.residualDropout
    attentionDropout = configuration.attentionDropout
    attentionNorm = LayerNorm(scope.child("ln_1"), width: width, epsilon: epsilon)
    queryKeyValue = scope.linear(
      "attn.c_attn", inputs: width, outputs: 3 * width, bias: true, layout: .inputsFirst)
    output = scope.linear("attn.c_proj", inputs: width, outputs: width, bias: true, layout: .inputsFirst)
    attentionEnd = scope.child("attention_adapters").branchEnd(.attention, width: width)
    feedForwardNorm = LayerNorm(scope.child("ln_2"), width: width, epsilon: epsilon)
    feedForward = FeedForward(
      first: scope.linear(
        "mlp.c_fc", inputs: width, outputs: configuration.hiddenWidth, bias: true, layout: .inputsFirst),
      second: scope.linear(
        "mlp.c_proj", inputs: configuration.hiddenWidth, outputs: width, bias: true, layout: .inputsFirst),
      activation: configuration.activation)
    feedForwardEnd = scope.child("output_adapters").branchEnd(.feedForward, width: width)
  }

  func callAsFunction(
    _ x: Tensor, _ batch: TokenBatch, behind virtualTokens: (any VirtualTokens)?, cache: KeyValueCache?,
    _ context: Context
  ) -> Tensor {
    let attended = attend(attentionNorm(x, context), batch, behind: virtualTokens, cache: cache, context)
    let hidden = sum(x, dropped(attended, "attn", context), attentionEnd, context)
    let fed = feedForward(feedForwardNorm(hidden, context), context)
    return sum(hidden, dropped(fed, "mlp", context), feedForwardEnd, context)
  }

  private func attend(
    _ x: Tensor, _ batch: TokenBatch, behind virtualTokens: (any VirtualTokens)?, cache: KeyValueCache?,
    _ context: Context
  ) -> Tensor {
    let width = shape.heads * shape.headWidth
    let parts = context.columns(queryKeyValue(x, context), [0..<width, width..<2 * width, 2 * width..<3 * width])
    let seen = remembered(
      keys: parts[1], values: parts[2], layer: index, virtualTokens: virtualTokens, runs: batch.sequences.queries,
      cache: cache, as: queryKeyValue.inputType(context), context)
    let dropout = Dropout(rate: attentionDropout, context.randomness?.named(path + ".weights"))
    return output(
      context.attention(
        parts[0], seen.keys, seen.values, shape, batch.sequences, .causal, dropout: dropout,
        as: queryKeyValue.inputType(context)), context)
  }

  private func sum(_ x: Tensor, _ h: Tensor, _ end: (any BranchEnd)?, _ context: Context) -> Tensor {
    end.map { $0(h, around: x, context) } ?? context.add(x, h)
  }

  private func dropped(_ x: Tensor, _ name: String, _ context: Context) -> Tensor {
    context.dropout(x, Dropout(rate: residualDropout, context.randomness?.named("\(path).\(name)")))
  }
}
