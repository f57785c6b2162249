import Ground
import Modules
import TestSupport
import XCTest

@testable import Models

/// What of a `config.json` is taken, and what is refused by name.
final class ConfigurationTests: XCTestCase {
  private let llama: JSON = [
    "model_type": "llama", "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 1, "vocab_size": 40,
  ]
  private var qwen2: JSON { llama.with("model_type", "qwen2") }
  private let gpt2: JSON = [
    "model_type": "gpt2", "n_embd": 12, "n_head": 3, "n_layer": 2, "n_positions": 16, "vocab_size": 40,
  ]
  private var llava: JSON {
    [
      "model_type": "llava", "image_token_index": 39, "text_config": llama,
      "vision_config": [
        "model_type": "clip_vision_model", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 3,
        "num_attention_heads": 2, "image_size": 12, "patch_size": 4,
      ],
    ]
  }

  @discardableResult
  private func model(_ configuration: JSON) throws -> MultimodalModel {
    try MultimodalModel(configuration: configuration, at: "config.json")
  }

  /// A change of a configuration must give a fault that has all of `words` in it.
  private func refuses(
    _ configuration: JSON, _ path: String, _ value: JSON, _ words: [String]? = nil, line: UInt = #line
  ) throws {
    let about = "\(path) = \(value)"
    let fault = try fault(about, line: line) { try model(configuration.with(path, value)) }
    XCTAssertEqual(fault.kind, .badConfiguration, about, line: line)
    XCTAssertEqual(fault.place, "config.json", about, line: line)
    for word in words ?? ["'\(path)'"] {
      XCTAssertTrue(fault.what.contains(word), "\(about): \(fault)", line: line)
    }
  }

  func testTheConfigurationsThatAreChangedHereAreGood() throws {
    for configuration in [llama, qwen2, gpt2, llava] { try model(configuration) }
  }

  // MARK: Unknown fields and families

  func testAnUnknownFieldIsNamed() throws {
    for configuration in [llama, qwen2, gpt2, llava] {
      try refuses(configuration, "logit_softcapping", 30.0)
      try refuses(
        configuration, "quantization_config", ["quant_method": "bitsandbytes"], ["'quantization_config.load_in_4bit'"])
    }
    try refuses(llava, "text_config.qk_norm", true)
    try refuses(llava, "vision_config.use_rope", true)
    try refuses(llama, "rope_scaling", ["rope_type": "linear", "factor": 2.0, "beta": 1.0], ["'rope_scaling.beta'"])
  }

  func testAnUnknownFieldThatIsNullSaysNothing() throws {
    try model(llama.with("logit_softcapping", nil))
    try model(llava.with("text_config.quantization_config", nil))
  }

  func testFieldsWithoutEffectAreTaken() throws {
    let torch: JSON = ["return_dict": true, "torch_dtype": "float16", "id2label": ["0": "LABEL_0"], "use_cache": false]
    for (key, value) in torch.object ?? [:] {
      for configuration in [llama, qwen2, gpt2, llava] { try model(configuration.with(key, value)) }
    }
  }

  func testAnUnknownFamilyIsNamedWithThoseThatAreKnown() throws {
    let other = try fault { try model(llama.with("model_type", "mixtral")) }
    XCTAssertEqual(other.kind, .badConfiguration)
    XCTAssertEqual(other.what, "'model_type': language model \"mixtral\" is not supported")
    XCTAssertEqual(other.remedy, "use one of bert, gpt2, llama, qwen2")
    try refuses(llava, "text_config.model_type", "mistral", ["'model_type'", "\"mistral\""])
    try refuses(llava, "vision_config.model_type", "dinov2", ["'vision_config.model_type'", "dinov2"])
    XCTAssertTrue(try fault { try model(llama.without("model_type")) }.what.contains("'model_type' is missing"))
  }

  // MARK: Known fields whose value changes the computation

  func testUnsupportedValuesAreNamed() throws {
    try refuses(llama, "rope_scaling", ["rope_type": "yarn", "factor": 4.0], ["'rope_scaling.rope_type'", "yarn"])
    try refuses(llama, "rope_scaling", ["type": "dynamic", "factor": 4.0], ["'rope_scaling.rope_type'", "dynamic"])
    try refuses(
      llama, "rope_parameters", ["rope_type": "longrope", "rope_theta": 10000.0], ["'rope_parameters.rope_type'"])
    try refuses(
      llama, "rope_parameters", ["rope_type": "default", "partial_rotary_factor": 0.5],
      ["'rope_parameters.partial_rotary_factor'"])
    try refuses(llama, "pretraining_tp", 2)
    try refuses(llama, "rope_interleaved", true)
    try refuses(qwen2, "use_sliding_window", true)
    try refuses(qwen2, "use_mrope", true)
    try refuses(qwen2, "layer_types", ["full_attention", "sliding_attention"])
    try refuses(gpt2, "add_cross_attention", true)
    try refuses(gpt2, "scale_attn_by_inverse_layer_idx", true)
    try refuses(gpt2, "scale_attn_weights", false)
    try refuses(gpt2, "pruned_heads", ["0": [1]])
    try refuses(llama, "is_encoder_decoder", true)
    try refuses(llama, "hidden_act", "gelu_10", ["'hidden_act'", "gelu_10"])
    try refuses(llava, "vision_feature_select_strategy", "cls_patch")
    try refuses(llava, "vision_config.num_channels", 1)
    try refuses(llava, "vision_config.dropout", 0.1)
    try refuses(llava, "projector_hidden_act", "mish")
  }

  func testValuesThatMeanNothingSpecialAreTaken() throws {
    try model(qwen2.with("use_sliding_window", false).with("sliding_window", 4096).with("max_window_layers", 1))
    try model(qwen2.with("use_mrope", false).with("layer_types", ["full_attention", "full_attention"]))
    try model(llama.with("rope_scaling", ["type": "linear", "factor": 2.0]))
    try model(llama.with("rope_parameters", ["rope_type": "default", "rope_theta": 500000.0]))
    try model(gpt2.with("add_cross_attention", false).with("pruned_heads", [:]))
  }

  /// As in transformers, whose `rope_parameters` are forgotten, with their theta, where `rope_scaling` says anything.
  func testRopeScalingCountsBesideRopeParameters() throws {
    let new = llama.with("rope_parameters", ["rope_type": "default", "rope_theta": 500000.0])
    for type in ["yarn", "dynamic"] {
      try refuses(
        new, "rope_scaling", ["rope_type": .string(type), "factor": 4.0], ["'rope_scaling.rope_type'", type])
    }
    func rotary(_ json: JSON) throws -> (scaling: RotaryEmbedding.Scaling, theta: Double) {
      let configuration = try RotaryDecoder.Configuration(
        ConfigurationReader(json, at: "config.json"), vocabularySize: 40, width: 12, hiddenWidth: 20, layers: 2,
        queryBias: false, outputBias: false, tied: nil)
      return (configuration.scaling, configuration.theta)
    }
    let linear: JSON = ["type": "linear", "factor": 2.0]
    for (json, scaling, theta) in [
      (new, .none, 500000), (new.with("rope_scaling", [:]), .none, 500000),
      (new.with("rope_scaling", nil), .none, 500000), (new.with("rope_scaling", linear), .linear(factor: 2), 10000),
      (new.with("rope_scaling", linear).with("rope_theta", 2000.0), .linear(factor: 2), 2000),
      (new.with("rope_scaling", linear.with("rope_theta", 3000.0)), .linear(factor: 2), 3000),
    ] as [(JSON, RotaryEmbedding.Scaling, Double)] {
      let found = try rotary(json)
      XCTAssertEqual(found.scaling, scaling, "\(json)")
      XCTAssertEqual(found.theta, theta, "\(json)")
    }
  }

  func testScalingNeedsItsFigures() throws {
    try refuses(llama, "rope_scaling", ["rope_type": "linear"], ["'rope_scaling.factor' is missing"])
    try refuses(
      llama, "rope_scaling", ["rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0],
      ["'rope_scaling.original_max_position_embeddings' is missing"])
  }

  // MARK: Numbers that do not fit

  func testFeatureLayersOutsideTheEncoder() throws {
    for bad: JSON in [4, -5, [], [0, 4], [-2, -9], 1.5, "last", [1, "2"]] {
      try refuses(llava, "vision_feature_layer", bad)
    }
    for (good, depths) in [(3, [3]), (0, [0]), (-1, [3]), (-4, [0]), ([-2, -3, 0], [2, 1, 0])] as [(JSON, [Int])] {
      XCTAssertEqual(try model(llava.with("vision_feature_layer", good)).eyes?.depths, depths)
    }
  }

  func testASingleRowCannotBeLeftOut() throws {
    let single = llava.with("vision_config.model_type", "siglip_vision_model").with("vision_config.patch_size", 12)
    try refuses(single, "vision_feature_select_strategy", "default")
    XCTAssertEqual(try model(single.with("vision_feature_select_strategy", "full")).eyes?.rowsPerImage, 1)
  }

  func testHeadsThatDoNotDivide() throws {
    try refuses(llama, "num_key_value_heads", 2, ["3 heads", "2 key heads"])
    try refuses(llama, "num_attention_heads", 5, ["hidden_size 12 is not a multiple of num_attention_heads 5"])
    try refuses(llama, "head_dim", 5, ["3 heads of 5"])
    try refuses(gpt2, "n_head", 5, ["n_embd 12 is not a multiple of n_head 5"])
    try refuses(llava, "vision_config.num_attention_heads", 3, ["the sizes of the vision encoder"])
    try refuses(llava, "vision_config.patch_size", 13, ["the sizes of the vision encoder"])
  }

  func testTheImageTokenMustBeInTheVocabulary() throws {
    try refuses(llava, "image_token_index", 40, ["image token 40", "vocabulary of 40"])
    try refuses(llava, "image_token_id", 41, ["image token 41"])
    try refuses(llava, "image_token_index", -1)
    XCTAssertEqual(try model(llava.with("image_token_id", 7)).eyes?.imageTokenID, 7, "image_token_id counts")
  }

  /// They neither overflow nor are they built before they are refused.
  func testHugeSizes() throws {
    let huge: [JSON] = [.integer(1 << 31), .integer(.max), 1e300, .integer(-1), 0]
    for size in huge {
      for key in ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"] {
        try refuses(llama, key, size)
      }
      for key in ["n_embd", "n_inner", "n_layer", "n_head", "n_positions", "vocab_size"] {
        try refuses(gpt2, key, size)
      }
      for key in ["hidden_size", "num_hidden_layers", "image_size", "patch_size"] {
        try refuses(llava, "vision_config." + key, size)
      }
    }
    try refuses(llama, "num_hidden_layers", .integer(1 << 30))
    try refuses(gpt2, "n_layer", .integer(1 << 30))
    try refuses(llava, "vision_config.num_hidden_layers", .integer(1 << 30))
    try refuses(llama, "head_dim", .integer(1 << 30))
    try refuses(llama.with("num_attention_heads", 1), "hidden_size", .integer(1 << 30), ["'head_dim'"])
  }

  func testWrongTypes() throws {
    try refuses(llama, "hidden_size", "12", ["'hidden_size' is \"12\"", "a whole number"])
    try refuses(llama, "hidden_size", 12.5)
    try refuses(llama, "num_hidden_layers", [2])
    try refuses(llama, "tie_word_embeddings", 1, ["'tie_word_embeddings' is 1", "true or false"])
    try refuses(llama, "attention_bias", "false")
    try refuses(llama, "rms_norm_eps", "1e-5", ["'rms_norm_eps'", "a number"])
    try refuses(llama, "hidden_act", 3, ["'hidden_act' is 3", "a text"])
    try refuses(llama, "model_type", 7)
    XCTAssertEqual(try fault { try model(llava.with("text_config", [1])) }.kind, .badData)
    XCTAssertEqual(try fault { try model(llava.with("vision_config", "clip")) }.kind, .badData)
    XCTAssertEqual(try fault { try model(llama.with("rope_scaling", 2.0)) }.kind, .badData)
    XCTAssertEqual(try fault { try model([1, 2]) }.kind, .badData)
    // A whole number may be written as a real one, as YAML tools do.
    XCTAssertEqual(try model(llama.with("hidden_size", 12.0)).language.width, 12)
  }
}
