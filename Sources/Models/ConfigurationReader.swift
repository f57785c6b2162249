import Ground
import Tensors

/// Reads a model's `config.json` so that no field is ignored by accident: each is read, known to have no effect
/// on the numbers, or an error that names it.
public final class ConfigurationReader {
  public let place: String
  private let members: JSON
  private var seen: Set<String>
  private let prefix: String

  /// Fields that say nothing about how the model computes in training: names, sizes for initialisers, and the
  /// settings of generation that older files hold.
  private static let withoutEffect: Set<String> = [
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_flash_attn_2_enabled", "_name_or_path",
    "architectures", "attn_implementation", "bad_words_ids", "begin_suppress_tokens", "bos_token_id",
    "chunk_size_feed_forward", "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty",
    "do_sample", "dtype", "early_stopping", "encoder_no_repeat_ngram_size", "eos_token_id",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
    "gradient_checkpointing", "id2label", "initializer_factor", "initializer_range", "is_decoder", "is_llama_config",
    "label2id", "length_penalty", "max_length", "max_sequence_length", "min_length", "model_type",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_labels", "num_return_sequences", "output_attentions",
    "output_hidden_states", "output_scores", "pad_token_id", "prefix", "problem_type", "remove_invalid_values",
    "repetition_penalty", "return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens",
    "task_specific_params", "temperature", "tf_legacy_loss", "tokenizer_class", "top_k", "top_p", "torch_dtype",
    "torchscript", "transformers.js_config", "transformers_version", "typical_p", "use_bfloat16", "use_cache",
  ]
  /// Fields of every family that must be off.
  private static let mustBeOff: [String: JSON] = [
    "add_cross_attention": false, "is_encoder_decoder": false, "pruned_heads": [:], "rope_interleaved": false,
    "tie_encoder_decoder": false,
  ]

  public init(_ members: JSON, at place: String, prefix: String = "") throws {
    guard members.object != nil else {
      throw Fault(.badData, "the configuration is \(members.kindName), not an object", at: place, "correct config.json")
    }
    self.members = members
    self.place = place
    self.prefix = prefix
    seen = ConfigurationReader.withoutEffect
  }

  private func name(_ key: String) -> String { prefix + key }

  private func value(_ key: String) -> JSON? {
    seen.insert(key)
    guard let value = members[key], !value.isNull else { return nil }
    return value
  }

  private func wrong(_ key: String, _ value: JSON, wanted: String) -> Fault {
    Fault(
      .badConfiguration, "'\(name(key))' is \(value) where \(wanted) is wanted", at: place, "correct config.json")
  }

  /// The fault of a field whose value this program cannot do.
  public func unsupported(_ key: String, _ value: JSON, supported: String) -> Fault {
    Fault(
      .badConfiguration, "'\(name(key))': \(value) is not supported", at: place, "use a model where it is \(supported)")
  }

  public func string(_ key: String, default standard: String? = nil) throws -> String {
    guard let value = value(key) ?? standard.map(JSON.string) else { throw missing(key) }
    guard let text = value.string else { throw wrong(key, value, wanted: "a text") }
    return text
  }

  /// A whole number from 1 to 2³⁰ unless `range` says otherwise.
  public func integer(_ key: String, default standard: Int? = nil, in range: ClosedRange<Int> = 1...(1 << 30)) throws
    -> Int
  {
    guard let value = value(key) ?? standard.map(JSON.integer) else { throw missing(key) }
    guard let number = value.integer, range.contains(number) else {
      throw wrong(key, value, wanted: "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A number of layers: they are built before any weight is read, so a wrong number must not take all memory.
  public func layers(_ key: String, default standard: Int) throws -> Int {
    try integer(key, default: standard, in: 1...1024)
  }

  public func number(_ key: String, default standard: Double? = nil) throws -> Double {
    guard let value = value(key) ?? standard.map(JSON.number) else { throw missing(key) }
    guard let number = value.double, number.isFinite else { throw wrong(key, value, wanted: "a number") }
    return number
  }

  /// A share of elements that are dropped, from 0 up to but not including 1.
  public func rate(_ key: String, default standard: Double) throws -> Float {
    let rate = try number(key, default: standard)
    guard rate >= 0, rate < 1 else { throw wrong(key, .number(rate), wanted: "a number in [0, 1)") }
    return Float(rate)
  }

  public func flag(_ key: String, default standard: Bool) throws -> Bool {
    guard let value = value(key) else { return standard }
    guard let flag = value.bool else { throw wrong(key, value, wanted: "true or false") }
    return flag
  }

  public func activation(_ key: String, default standard: String) throws -> Activation {
    let named = try string(key, default: standard)
    guard let activation = Activation(named: named) else {
      throw unsupported(key, .string(named), supported: "gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, silu or relu")
    }
    return activation
  }

  /// A field as it stands, for fields of several forms.
  public func raw(_ key: String) -> JSON? { value(key) }

  /// A nested configuration.
  public func nested(_ key: String, default standard: JSON? = nil) throws -> ConfigurationReader {
    guard let value = value(key) ?? standard else { throw missing(key) }
    return try ConfigurationReader(value, at: place, prefix: name(key) + ".")
  }

  /// Fields that have no effect for this family.
  public func ignore(_ keys: String...) { seen.formUnion(keys) }

  /// A field that must be absent, null or one of `values`.
  public func require(_ key: String, in values: JSON...) throws {
    guard let value = value(key), !values.contains(value) else { return }
    throw unsupported(key, value, supported: values.map(\.description).joined(separator: " or "))
  }

  /// - Throws: the fault that names a field which nothing read.
  public func finish() throws {
    for (key, off) in ConfigurationReader.mustBeOff.sorted(by: { $0.key < $1.key }) { try require(key, in: off) }
    for (key, value) in members.object ?? [:] where !seen.contains(key) && !value.isNull {
      throw Fault(
        .badConfiguration, "'\(name(key))' is not a field that this model family is known to have", at: place,
        "check the model; a field that changes the computation would otherwise be ignored")
    }
  }

  private func missing(_ key: String) -> Fault {
    Fault(.badConfiguration, "'\(name(key))' is missing", at: place, "use a complete config.json")
  }
}
