import Ground
import Modules
import Tensors

/// BERT (Devlin et al. 2019, arXiv:1810.04805): learned positions and types, attention both ways, layer norms after each
/// part.
func makeBert(
  _ reader: ConfigurationReader, _ root: Scope, _ place: LanguagePlace
) throws -> any LanguageModel {
  guard !place.isNested else {
    throw reader.unsupported("model_type", "bert", supported: "a decoder, beside a vision encoder")
  }
  let width = try reader.integer("hidden_size", default: 768)
  let vocabulary = try reader.integer("vocab_size", default: 30522)
  let dropout = try reader.rate("hidden_dropout_prob", default: 0.1)
  let configuration = Bert.Configuration(
    vocabularySize: vocabulary, positions: try reader.integer("max_position_embeddings", default: 512),
    types: try reader.integer("type_vocab_size", default: 2), width: width,
    hiddenWidth: try reader.integer("intermediate_size", default: 3072),
    layers: try reader.layers("num_hidden_layers", default: 12),
    heads: try reader.integer("num_attention_heads", default: 12),
    normEpsilon: Float(try reader.number("layer_norm_eps", default: 1e-12)),
    activation: try reader.activation("hidden_act", default: "gelu"), hiddenDropout: dropout,
    attentionDropout: try reader.rate("attention_probs_dropout_prob", default: 0.1),
    paddingToken: (reader.raw("pad_token_id") ?? 0).integer.flatMap { (0..<vocabulary).contains($0) ? $0 : nil })
  guard width % configuration.heads == 0 else {
    throw Fault(
      .badConfiguration, "hidden_size \(width) is not a multiple of num_attention_heads \(configuration.heads)",
      at: reader.place, "correct config.json")
  }
  try reader.require("is_decoder", in: false)
  try reader.require("position_embedding_type", in: "absolute")
  reader.ignore(
    "classifier_dropout", "tie_word_embeddings", "directionality", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "label_smoothing")
  try reader.finish()
  return Bert(configuration, root.child("bert"))
}

final class Bert: LanguageModel {
  struct Configuration {
    var vocabularySize: Int
    var positions: Int
    var types: Int
    var width: Int
    var hiddenWidth: Int
    var layers: Int
    var heads: Int
    var normEpsilon: Float
    var activation: Activation
    var hiddenDropout: Float
    var attentionDropout: Float
    /// The padding token; its embedding is not trained.
    var paddingToken: Int?
  }

  let width: Int
  let vocabularySize: Int
  let longestSequence: Int?
  let head: (any LinearLayer)? = nil
  let readsBothWays = true
  var layerCount: Int { layers.count }
  /// What makes one vector of a text, of the state of its first token.
  let pooler: any LinearLayer
  /// How many texts it can tell apart.
  let typeCount: Int
  private let path: String
  private let dropout: Float
  private let words, positions, types: Embedding
  private let norm: LayerNorm
  private let layers: [BertLayer]

  init(_ configuration: Configuration, _ scope: Scope) {
    (width, vocabularySize) = (configuration.width, configuration.vocabularySize)
    (longestSequence, typeCount) = (configuration.positions, configuration.types)
    dropout = configuration.hiddenDropout
    let embeddings = scope.child("embeddings")
    path = embeddings.path
    words = Embedding(
      embeddings.child("word_embeddings"), count: configuration.vocabularySize, width: width,
      fixedRow: configuration.paddingToken)
    positions = Embedding(embeddings.child("position_embeddings"), count: configuration.positions, width: width)
    types = Embedding(embeddings.child("token_type_embeddings"), count: configuration.types, width: width)
    norm = LayerNorm(embeddings.child("LayerNorm"), width: width, epsilon: configuration.normEpsilon)
    layers = (0..<configuration.layers).map { BertLayer(configuration, scope.child("encoder.layer.\($0)")) }
    pooler = scope.linear("pooler.dense", inputs: width, outputs: width, bias: true)
  }

  func embed(_ ids: Tensor, _ context: Context) -> Tensor { words(ids, context) }

  func decode(
    _ embeddings: Tensor, _ batch: TokenBatch, rows: Tensor?, cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    precondition(cache == nil, "Bert: tokens see those that follow, so that none can be kept")
    return run(embeddings, batch, rows: rows, depth: layerCount, context)
  }

  func states(_ embeddings: Tensor, _ batch: TokenBatch, depth: Int, _ context: Context) -> Tensor {
    run(embeddings, batch, rows: nil, depth: depth, context)
  }

  private func run(
    _ embeddings: Tensor, _ batch: TokenBatch, rows: Tensor?, depth: Int, _ context: Context
  ) -> Tensor {
    let typeIndices = batch.types ?? context.backend.tensor([Int32](repeating: 0, count: embeddings.rows))
    var hidden = context.add(embeddings, types(typeIndices, context))
    hidden = norm(context.add(hidden, positions(batch.positions, context)), context)
    hidden = context.dropout(hidden, Dropout(rate: dropout, context.randomness?.named(path)))
    for (index, layer) in layers.prefix(depth).enumerated() {
      let wanted = index == depth - 1 ? rows : nil
      hidden = context.layer(hidden) { x, context in layer(x, batch, rows: wanted, context) }
    }
    return hidden
  }
}

/// h = norm(x + attention(x)); y = norm(h + feedForward(h))
private final class BertLayer {
  private let path: String
  private let shape: AttentionShape
  private let hiddenDropout, attentionDropout: Float
  private let query, key, value, output: any LinearLayer
  private let attentionNorm, feedForwardNorm: LayerNorm
  private let feedForward: FeedForward
  private let attentionEnd, feedForwardEnd: (any BranchEnd)?

  init(_ configuration: Bert.Configuration, _ scope: Scope) {
    let (width, epsilon) = (configuration.width, configuration.normEpsilon)
    path = scope.path
    shape = AttentionShape(
      heads: configuration.heads, keyHeads: configuration.heads, headWidth: width / configuration.heads)
    hiddenDropout = configuration.hiddenDropout
    attentionDropout = configuration.attentionDropout
    let attention = scope.child("attention")
    query = attention.linear("self.query", inputs: width, outputs: width, bias: true)
    key = attention.linear("self.key", inputs: width, outputs: width, bias: true)
    value = attention.linear("self.value", inputs: width, outputs: width, bias: true)
    output = attention.linear("output.dense", inputs: width, outputs: width, bias: true)
    attentionNorm = LayerNorm(attention.child("output.LayerNorm"), width: width, epsilon: epsilon)
    attentionEnd = attention.child("output").branchEnd(.attention, width: width)
    feedForward = FeedForward(
      first: scope.linear("intermediate.dense", inputs: width, outputs: configuration.hiddenWidth, bias: true),
      second: scope.linear("output.dense", inputs: configuration.hiddenWidth, outputs: width, bias: true),
      activation: configuration.activation)
    feedForwardNorm = LayerNorm(scope.child("output.LayerNorm"), width: width, epsilon: epsilon)
    feedForwardEnd = scope.child("output").branchEnd(.feedForward, width: width)
  }

  /// - Parameter rows: where given, all that comes after attention is computed for these rows alone.
  func callAsFunction(_ x: Tensor, _ batch: TokenBatch, rows: Tensor?, _ context: Context) -> Tensor {
    let parts = project(x, [query, key, value], context)
    let dropout = Dropout(rate: attentionDropout, context.randomness?.named(path + ".weights"))
    var attended = context.attention(
      parts[0], parts[1], parts[2], shape, batch.sequences, .bidirectional, dropout: dropout,
      as: query.inputType(context))
    var before = x
    if let rows { (before, attended) = (context.gatherRows(before, rows), context.gatherRows(attended, rows)) }
    let hidden = sum(
      before, dropped(output(attended, context), "attention", context), attentionEnd, attentionNorm, context)
    return sum(
      hidden, dropped(feedForward(hidden, context), "output", context), feedForwardEnd, feedForwardNorm, context)
  }

  private func sum(
    _ x: Tensor, _ h: Tensor, _ end: (any BranchEnd)?, _ norm: LayerNorm, _ context: Context
  ) -> Tensor {
    end.map { $0(h, around: x, norm: norm, context) } ?? norm(context.add(x, h), context)
  }

  private func dropped(_ x: Tensor, _ name: String, _ context: Context) -> Tensor {
    context.dropout(x, Dropout(rate: hiddenDropout, context.randomness?.named("\(path).\(name)")))
  }
}
