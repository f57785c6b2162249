import Ground
import Modules
import Tensors

/// Llama (Touvron et al. 2023, arXiv:2302.13971) and what has its layout: Llama 2, 3, 3.1, Vicuna, SmolLM.
func makeLlama(
  _ reader: ConfigurationReader, _ root: Scope, _ place: LanguagePlace
) throws -> any LanguageModel {
  let attentionBias = try reader.flag("attention_bias", default: false)
  var configuration = try RotaryDecoder.Configuration(
    reader, vocabularySize: 32000, width: 4096, hiddenWidth: 11008, layers: 32,
    queryBias: attentionBias, outputBias: attentionBias, tied: place.isTied)
  configuration.feedForwardBias = try reader.flag("mlp_bias", default: false)
  try reader.require("pretraining_tp", in: 1)
  guard configuration.width % configuration.attention.heads == 0 else {
    throw Fault(
      .badConfiguration,
      "hidden_size \(configuration.width) is not a multiple of num_attention_heads \(configuration.attention.heads)",
      at: reader.place, "correct config.json")
  }
  try reader.finish()
  return RotaryDecoder(
    configuration, root.child(place.isNested ? "model.language_model" : "model"), headScope: place.hasHead ? root : nil)
}

/// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv:2407.10671): Llama with biases on query, key and value.
func makeQwen2(
  _ reader: ConfigurationReader, _ root: Scope, _ place: LanguagePlace
) throws -> any LanguageModel {
  let configuration = try RotaryDecoder.Configuration(
    reader, vocabularySize: 151936, width: 4096, hiddenWidth: 22016, layers: 32,
    queryBias: true, outputBias: false, tied: place.isTied)
  try reader.require("use_sliding_window", in: false)
  try reader.require("use_mrope", in: false)
  reader.ignore("sliding_window", "max_window_layers")  // without effect while use_sliding_window is false
  if let types = reader.raw("layer_types"), types.array?.contains(where: { $0 != "full_attention" }) ?? true {
    throw reader.unsupported("layer_types", types, supported: "full_attention for every layer")
  }
  try reader.finish()
  return RotaryDecoder(
    configuration, root.child(place.isNested ? "model.language_model" : "model"), headScope: place.hasHead ? root : nil)
}

extension RotaryDecoder.Configuration {
  /// The fields that the families share; the numbers are each family's defaults.
  init(
    _ reader: ConfigurationReader, vocabularySize: Int, width: Int, hiddenWidth: Int, layers: Int,
    queryBias: Bool, outputBias: Bool, tied: Bool?
  ) throws {
    let width = try reader.integer("hidden_size", default: width)
    let heads = try reader.integer("num_attention_heads", default: 32)
    let keyHeads = try reader.integer("num_key_value_heads", default: heads)
    let headWidth = try reader.integer("head_dim", default: max(1, width / heads), in: 1...65536)
    guard heads % keyHeads == 0, headWidth % 2 == 0 else {
      throw Fault(
        .badConfiguration, "\(heads) heads of \(headWidth) with \(keyHeads) key heads do not fit together",
        at: reader.place, "correct num_attention_heads, num_key_value_heads or head_dim")
    }
    reader.ignore("max_position_embeddings")  // rotary positions go on beyond it
    let rotary = try RotaryParameters(reader)
    let ownTie = try reader.flag("tie_word_embeddings", default: false)
    self.init(
      vocabularySize: try reader.integer("vocab_size", default: vocabularySize), width: width,
      hiddenWidth: try reader.integer("intermediate_size", default: hiddenWidth),
      layers: try reader.layers("num_hidden_layers", default: layers),
      attention: AttentionShape(heads: heads, keyHeads: keyHeads, headWidth: headWidth),
      normEpsilon: Float(try reader.number("rms_norm_eps", default: 1e-6)),
      activation: try reader.activation("hidden_act", default: "silu"), theta: rotary.theta, scaling: rotary.scaling,
      queryBias: queryBias, outputBias: outputBias, feedForwardBias: false,
      attentionDropout: Float(try reader.number("attention_dropout", default: 0)), isTied: tied == true || ownTie,
      paddingToken: reader.raw("pad_token_id")?.integer)
    // A padding token from the end of the table, as PyTorch counts it; one outside is none.
    if let token = paddingToken, token < 0 { paddingToken = token + self.vocabularySize }
    if let token = paddingToken, !(0..<self.vocabularySize).contains(token) { paddingToken = nil }
  }
}

/// `rope_theta` and `rope_scaling`, or both in `rope_parameters` as transformers 5 writes them; where a file has both,
/// `rope_scaling` counts unless it is empty, as in transformers.
private struct RotaryParameters {
  var theta: Double
  var scaling = RotaryEmbedding.Scaling.none

  init(_ reader: ConfigurationReader) throws {
    theta = try reader.number("rope_theta", default: 10000)
    let (old, new) = (reader.raw("rope_scaling"), reader.raw("rope_parameters"))
    let isOld = new == nil || old.map { $0.object?.isEmpty != true } ?? false
    let key = isOld ? "rope_scaling" : "rope_parameters"
    guard let json = isOld ? old : new else { return }
    let nested = try reader.nested(key)
    theta = try nested.number("rope_theta", default: theta)
    nested.ignore("type")
    try nested.require("partial_rotary_factor", in: 1, 1.0)
    let type = try nested.string("rope_type", default: json["type"]?.string ?? "default")
    switch type {
    case "default": break
    case "linear": scaling = .linear(factor: try nested.number("factor"))
    case "llama3":
      scaling = .llama3(
        factor: try nested.number("factor"), lowFrequency: try nested.number("low_freq_factor"),
        highFrequency: try nested.number("high_freq_factor"),
        originalLength: try nested.number("original_max_position_embeddings"))
    default: throw nested.unsupported("rope_type", .string(type), supported: "default, linear or llama3")
    }
    try nested.finish()
  }
}
