import TestSupport
import XCTest

@testable import Models

/// The names of weights in every layout of files, both ways.
final class WeightNamesTests: XCTestCase {
  private let llava = WeightNames(isMultimodal: true, isGPT2: false)
  private let llama = WeightNames(isMultimodal: false, isGPT2: false)
  private let gpt2 = WeightNames(isMultimodal: false, isGPT2: true)

  /// Canonical, Hub (up to transformers 4.51), transformers 5 on disk, original LLaVA.
  private let layouts: [[String]] = [
    [
      "model.language_model.layers.11.self_attn.q_proj.weight",
      "language_model.model.layers.11.self_attn.q_proj.weight",
      "language_model.model.layers.11.self_attn.q_proj.weight", "model.layers.11.self_attn.q_proj.weight",
    ],
    [
      "model.language_model.embed_tokens.weight", "language_model.model.embed_tokens.weight",
      "language_model.model.embed_tokens.weight", "model.embed_tokens.weight",
    ],
    [
      "model.language_model.norm.weight", "language_model.model.norm.weight", "language_model.model.norm.weight",
      "model.norm.weight",
    ],
    ["lm_head.weight", "language_model.lm_head.weight", "language_model.lm_head.weight", "lm_head.weight"],
    [
      "model.vision_tower.encoder.layers.3.mlp.fc1.bias", "vision_tower.vision_model.encoder.layers.3.mlp.fc1.bias",
      "vision_tower.encoder.layers.3.mlp.fc1.bias",
      "model.vision_tower.vision_tower.vision_model.encoder.layers.3.mlp.fc1.bias",
    ],
    [
      "model.vision_tower.embeddings.class_embedding", "vision_tower.vision_model.embeddings.class_embedding",
      "vision_tower.embeddings.class_embedding",
      "model.vision_tower.vision_tower.vision_model.embeddings.class_embedding",
    ],
    [
      "model.multi_modal_projector.linear_1.weight", "multi_modal_projector.linear_1.weight",
      "multi_modal_projector.linear_1.weight", "model.mm_projector.0.weight",
    ],
    [
      "model.multi_modal_projector.linear_2.bias", "multi_modal_projector.linear_2.bias",
      "multi_modal_projector.linear_2.bias", "model.mm_projector.2.bias",
    ],
  ]

  func testEveryLayoutOfLLaVALeadsToTheSameName() {
    for names in layouts {
      for name in names { XCTAssertEqual(llava.canonical(name), names[0], name) }
    }
  }

  func testTheInnerVisionModelMayBeNamedInMemoryToo() {
    XCTAssertEqual(
      llava.canonical("model.vision_tower.vision_model.post_layernorm.weight"),
      "model.vision_tower.post_layernorm.weight")
  }

  func testTheHubsAndLLaVAsLayoutsAreWritten() {
    for names in layouts {
      XCTAssertEqual(llava.hub(names[0]), names[1])
      XCTAssertEqual(llava.llava(names[0]), names[3])
    }
  }

  func testTheHubNamesOfTheReferenceAreFound() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "llava-list"] {
      let golden = try Golden(name)
      let pairs = try XCTUnwrap(golden.json["hub_names"]?.object)
      XCTAssertGreaterThan(pairs.count, 40)
      for (own, hub) in pairs {
        let hub = try XCTUnwrap(hub.string)
        XCTAssertEqual(llava.canonical(hub), own)
        XCTAssertEqual(llava.hub(own), hub)
      }
    }
  }

  func testAGPT2InsideLLaVA() {
    XCTAssertEqual(
      llava.canonical("language_model.transformer.h.0.attn.c_attn.weight"),
      "model.language_model.h.0.attn.c_attn.weight")
  }

  func testGPT2WithAndWithoutItsPrefix() {
    for name in [
      "h.0.attn.c_attn.weight", "h.11.mlp.c_proj.bias", "wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias",
    ] {
      XCTAssertEqual(gpt2.canonical(name), "transformer." + name)
      XCTAssertEqual(gpt2.canonical("transformer." + name), "transformer." + name)
      XCTAssertEqual(gpt2.hub("transformer." + name), "transformer." + name)
    }
    XCTAssertEqual(gpt2.canonical("lm_head.weight"), "lm_head.weight")
  }

  func testLlamaWithAndWithoutItsPrefix() {
    for name in ["layers.0.mlp.up_proj.weight", "embed_tokens.weight", "norm.weight"] {
      XCTAssertEqual(llama.canonical(name), "model." + name)
      XCTAssertEqual(llama.canonical("model." + name), "model." + name)
      XCTAssertEqual(llama.hub("model." + name), "model." + name)
    }
    XCTAssertEqual(llama.canonical("lm_head.weight"), "lm_head.weight")
  }

  func testGammaAndBetaOfOldNorms() {
    XCTAssertEqual(llama.canonical("model.LayerNorm.gamma"), "model.LayerNorm.weight")
    XCTAssertEqual(llama.canonical("model.LayerNorm.beta"), "model.LayerNorm.bias")
    XCTAssertEqual(
      llava.canonical("vision_tower.encoder.layers.0.LayerNorm.gamma"),
      "model.vision_tower.encoder.layers.0.LayerNorm.weight")
    // Of norms only: a parameter that is called gamma elsewhere keeps its name.
    XCTAssertEqual(llama.canonical("model.layer_scale.gamma"), "model.layer_scale.gamma")
    XCTAssertEqual(llama.canonical("model.LayerNorm.weight"), "model.LayerNorm.weight")
  }

  func testBuffersAreKnown() {
    XCTAssertTrue(llava.isBuffer("model.vision_tower.embeddings.position_ids"))
    XCTAssertTrue(llama.isBuffer("model.layers.0.self_attn.rotary_emb.inv_freq"))
    XCTAssertTrue(gpt2.isBuffer("transformer.h.0.attn.bias"))
    XCTAssertTrue(gpt2.isBuffer("transformer.h.0.attn.masked_bias"))
    XCTAssertFalse(gpt2.isBuffer("transformer.h.0.attn.c_attn.bias"))
    XCTAssertFalse(gpt2.isBuffer("transformer.h.0.attn.c_proj.bias"))
    XCTAssertFalse(llama.isBuffer("model.layers.0.attn.bias"), "a bias of another family is a weight")
    XCTAssertFalse(llava.isBuffer("model.vision_tower.embeddings.position_embedding.weight"))
  }
}
