import Adapters
import Foundation
import Models
import XCTest

/// The line of counts that PEFT prints, on a model of real size; it needs no weights.
final class ParameterLineTests: XCTestCase {
  func testGPT2WithRank8() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/gpt2-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let configuration = """
      {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "vocab_size": 50257,
       "n_positions": 1024, "n_ctx": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "layer_norm_epsilon": 1e-05,
       "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "bos_token_id": 50256, "eos_token_id": 50256,
       "summary_type": "cls_index", "summary_use_proj": true, "summary_activation": null, "summary_first_dropout": 0.1,
       "summary_proj_to_labels": true, "initializer_range": 0.02,
       "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}}
      """
    try configuration.write(toFile: folder + "/config.json", atomically: false, encoding: .utf8)
    let lora = LoRASettings(rank: 8, alpha: 16, dropout: 0, targets: .names(["c_attn"]))
    let adapted = try AdaptedModel(ModelFolder(folder), methods: [.language: .lora(lora)])
    XCTAssertEqual(
      adapted.parameterLine, "trainable params: 294,912 || all params: 124,734,720 || trainable%: 0.2364")
    XCTAssertEqual(adapted.trainable.count, 24)
  }

  func testThousandsAreGrouped() {
    XCTAssertEqual([0, 999, 1000, 1_234_567, -12_000].map(grouped), ["0", "999", "1,000", "1,234,567", "-12,000"])
  }
}
