/// The names that one weight has in different files.
///
/// In the program a parameter has the name that transformers 5 gives it in memory. Files use that layout or an
/// older one: the Hub's up to transformers 4.51, transformers 5's own, original LLaVA's, and base models saved
/// without their head.
public struct WeightNames: Sendable {
  let isMultimodal: Bool
  let isGPT2: Bool
  var isBERT = false
  var isDual = false

  /// The names of models that take pictures.
  public static let withPictures = WeightNames(isMultimodal: true, isGPT2: false)

  /// The parameter that a file calls `key`.
  public func canonical(_ key: String) -> String {
    var name = key
    for (old, new) in [(".gamma", ".weight"), (".beta", ".bias")] where name.hasSuffix("LayerNorm" + old) {
      name = name.dropLast(old.count) + new
    }
    for (prefix, replacement) in table where name.hasPrefix(prefix) {
      return replacement + name.dropFirst(prefix.count)
    }
    return name
  }

  private var table: [(String, String)] {
    if isDual { return [] }  // every file of theirs has the same names
    return isMultimodal
      ? WeightNames.multimodal : isGPT2 ? WeightNames.gpt2 : isBERT ? WeightNames.bert : WeightNames.text
  }

  /// The name in the Hub's layout, which every version of transformers reads.
  public func hub(_ name: String) -> String {
    guard isMultimodal, !isDual else { return name }
    for (prefix, replacement) in WeightNames.hubLayout where name.hasPrefix(prefix) {
      return replacement + name.dropFirst(prefix.count)
    }
    return name
  }

  /// The name in the layout of the original LLaVA code.
  public func llava(_ name: String) -> String {
    for (prefix, replacement) in WeightNames.originalLayout where name.hasPrefix(prefix) {
      return replacement + name.dropFirst(prefix.count)
    }
    return name
  }

  /// Buffers that older versions saved beside the weights.
  public func isBuffer(_ name: String) -> Bool {
    name.hasSuffix(".position_ids") || name.hasSuffix("rotary_emb.inv_freq") || name.hasSuffix(".token_type_ids")
      || isGPT2 && (name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias"))
  }

  // The first prefix that fits decides: longer ones stand first.
  private static let multimodal = [
    ("model.vision_tower.vision_tower.vision_model.", "model.vision_tower."),
    ("model.vision_tower.vision_model.", "model.vision_tower."),
    ("vision_tower.vision_model.", "model.vision_tower."),
    ("vision_tower.", "model.vision_tower."),
    // A vision encoder that is a model of its own.
    ("vision_model.", "model.vision_tower."),
    ("embeddings.", "model.vision_tower.embeddings."),
    ("encoder.", "model.vision_tower.encoder."),
    ("pre_layrnorm.", "model.vision_tower.pre_layrnorm."),
    ("post_layernorm.", "model.vision_tower.post_layernorm."),
    ("head.", "model.vision_tower.head."),
    ("model.mm_projector.0.", "model.multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "model.multi_modal_projector.linear_2."),
    ("multi_modal_projector.", "model.multi_modal_projector."),
    ("language_model.lm_head.", "lm_head."),
    ("language_model.model.", "model.language_model."),
    ("language_model.transformer.", "model.language_model."),
    ("model.layers.", "model.language_model.layers."),
    ("model.embed_tokens.", "model.language_model.embed_tokens."),
    ("model.norm.", "model.language_model.norm."),
  ]
  private static let text = [
    ("layers.", "model.layers."), ("embed_tokens.", "model.embed_tokens."), ("norm.", "model.norm."),
  ]
  private static let gpt2 = [
    ("h.", "transformer.h."), ("wte.", "transformer.wte."), ("wpe.", "transformer.wpe."),
    ("ln_f.", "transformer.ln_f."),
  ]
  private static let bert = [
    ("embeddings.", "bert.embeddings."), ("encoder.", "bert.encoder."), ("pooler.", "bert.pooler."),
  ]
  private static let hubLayout = [
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
  ]
  private static let originalLayout = [
    ("model.language_model.", "model."),
    ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model."),
    ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
  ]
}
