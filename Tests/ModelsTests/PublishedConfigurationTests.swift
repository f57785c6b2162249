import Ground
import TestSupport
import XCTest

@testable import Models

/// Configurations as published models have them, with the number of parameters that transformers counts for each.
final class PublishedConfigurationTests: XCTestCase {
  private func model(_ json: String) throws -> MultimodalModel {
    try MultimodalModel(configuration: JSON(parsing: json, at: "config.json"), at: "config.json")
  }

  private func count(_ model: MultimodalModel) -> Int { model.parameters.reduce(0) { $0 + $1.count } }

  /// LLaVA-1.5-7B: the text part says next to nothing of its sizes.
  func testLLaVA15TakesTheDefaultsOfLlama() throws {
    let model = try model(
      """
      {"architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": 32000,
       "model_type": "llava", "pad_token_id": 32001, "projector_hidden_act": "gelu",
       "text_config": {"_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05, "torch_dtype": "float16",
        "vocab_size": 32064}, "tie_word_embeddings": false, "torch_dtype": "float16",
       "transformers_version": "4.36.0.dev0", "vision_config": {"hidden_size": 1024, "image_size": 336,
        "intermediate_size": 4096, "model_type": "clip_vision_model", "num_attention_heads": 16,
        "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768, "vocab_size": 32000},
       "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "vocab_size": 32064}
      """)
    XCTAssertEqual(count(model), 7_063_427_072)
    XCTAssertEqual(model.parameters.count, 686)
    XCTAssertEqual(model.language.width, 4096)
    XCTAssertEqual(model.language.vocabularySize, 32064)
    let eyes = try XCTUnwrap(model.eyes)
    XCTAssertEqual(eyes.rowsPerImage, 576)
    XCTAssertEqual(eyes.imageSize, 336)
    XCTAssertEqual(eyes.depths, [23])
    XCTAssertTrue(eyes.dropsFirstRow)
    XCTAssertEqual(eyes.tower.configuration.activation, .quickGELU)
    XCTAssertEqual(eyes.tower.configuration.normEpsilon, 1e-5)
  }

  func testLLaVAWithoutAnyPartTakesAllDefaults() throws {
    let model = try model(#"{"model_type": "llava", "image_token_index": 31999}"#)
    XCTAssertEqual(count(model), 7_062_902_784)
    XCTAssertEqual(model.eyes?.rowsPerImage, 576)
    XCTAssertEqual(model.eyes?.imageTokenID, 31999)
  }

  func testLLaVAInterleaveOfSigLIPAndQwen() throws {
    let model = try model(
      """
      {"image_token_index": 151646, "model_type": "llava", "projector_hidden_act": "gelu", "text_config":
       {"hidden_size": 1024, "intermediate_size": 2816, "max_position_embeddings": 32768, "max_window_layers": 21,
        "model_type": "qwen2", "num_attention_heads": 16, "num_hidden_layers": 24, "num_key_value_heads": 16,
        "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "vocab_size": 152000},
       "tie_word_embeddings": true, "vision_config": {"hidden_size": 1152, "image_size": 384,
        "intermediate_size": 4304, "model_type": "siglip_vision_model", "num_attention_heads": 16,
        "num_hidden_layers": 26, "patch_size": 14, "vision_use_head": false}, "vision_feature_layer": -1,
       "vision_feature_select_strategy": "full"}
      """)
    XCTAssertEqual(count(model), 864_031_264)
    XCTAssertEqual(model.parameters.count, 715)
    XCTAssertEqual(model.eyes?.rowsPerImage, 729)
    XCTAssertEqual(model.language.head?.base.isTied, true)
  }

  func testQwen25() throws {
    let model = try model(
      """
      {"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
       "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
       "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2",
       "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
       "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
       "transformers_version": "4.40.1", "use_cache": true, "use_mrope": false, "use_sliding_window": false,
       "vocab_size": 151936}
      """)
    XCTAssertEqual(count(model), 494_032_768)
    XCTAssertNil(model.eyes)
  }

  func testLlama31() throws {
    let model = try model(
      """
      {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
       "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
       "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false,
       "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
       "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
       "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
       "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 128256}
      """)
    XCTAssertEqual(count(model), 8_030_261_248)
  }

  func testSmolLM() throws {
    let model = try model(
      """
      {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 0,
       "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
       "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192, "model_type": "llama",
       "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1,
       "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
       "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 49152}
      """)
    XCTAssertEqual(count(model), 134_515_008)
  }

  func testGPT2() throws {
    let model = try model(
      """
      {"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
       "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
       "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
       "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null, "summary_first_dropout": 0.1,
       "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
       "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257}
      """)
    XCTAssertEqual(count(model), 124_439_808)
    XCTAssertEqual(model.language.longestSequence, 1024)
    XCTAssertEqual(count(try self.model(#"{"model_type": "gpt2"}"#)), 124_439_808)
  }
}
