import Ground
import Models
import Tensors
import TestSupport
import XCTest

@testable import Adapters

/// Which layers an adapter wraps, as PEFT decides it.
final class TargetsTests: XCTestCase {
  private let query = "model.language_model.layers.1.self_attn.q_proj"

  private func matches(_ targets: Targets, _ path: String, isHead: Bool = false) throws -> Bool {
    try targets.matcher()(path, isHead)
  }

  func testAnExpressionMatchesTheWholePath() throws {
    for (pattern, expected) in [
      (#".*q_proj"#, true), (#"q_proj"#, false), (#"model\.language_model"#, false), (#".*\.q_pro"#, false),
      (#"model\.language_model\.layers\.\d+\.self_attn\.(q|v)_proj"#, true), (#".*layers\.[2-9]\..*"#, false),
      (#".*"#, true), (#"(?i).*Q_PROJ"#, true), (#"^.*q_proj$"#, true),
    ] {
      XCTAssertEqual(try matches(.pattern(pattern), query), expected, pattern)
    }
  }

  /// Python's `re.fullmatch` tries every alternative before it gives up; the shorter one standing first changes nothing.
  func testAlternativesOfWhichTheFirstIsAPrefix() throws {
    for pattern in [#".*\.(q|q_proj)"#, #"model|model\.language_model\..*|x"#, #".*self_attn\.q(|_proj)"#, #".*?"#] {
      XCTAssertTrue(try matches(.pattern(pattern), query), pattern)
    }
  }

  func testALineEndIsNotOverlooked() throws {
    XCTAssertFalse(try matches(.pattern("a"), "a\n"))
    XCTAssertFalse(try matches(.pattern("a$"), "a\n"))
  }

  func testBrokenExpressionsAreRefused() throws {
    for pattern in ["", "(", "a)(b", "*", "[a", #"\"#, "(?P<x>a)("] {
      let fault = try fault(pattern) { try Targets.pattern(pattern).matcher() }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.what.contains("\"\(pattern)\" is not a regular expression"), "\(fault)")
    }
  }

  func testNamesAreEndingsAtADot() throws {
    for (names, expected) in [
      (["q_proj"], true), (["self_attn.q_proj"], true), ([query], true), (["proj"], false), (["_proj"], false),
      (["k_proj", "q_proj"], true), (["layers"], false), ([], false), (["Q_PROJ"], false),
    ] as [([String], Bool)] {
      XCTAssertEqual(try matches(.names(names), query), expected, "\(names)")
    }
  }

  func testAllLinearLeavesTheHeadOut() throws {
    XCTAssertTrue(try matches(.allLinear, query))
    XCTAssertFalse(try matches(.allLinear, "lm_head", isHead: true))
    XCTAssertTrue(try matches(.names(["lm_head"]), "lm_head", isHead: true))
  }
}

/// Targets in whole models.
final class TargetsInModelsTests: XCTestCase {
  private func adapted(_ golden: String, _ targets: Targets, part: ModelPart = .language) throws -> AdaptedModel {
    let settings = LoRASettings(rank: 2, alpha: 4, dropout: 0, targets: targets)
    return try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: [part: .lora(settings)])
  }

  func testAllLinearLayersOfAPart() throws {
    let language = try adapted("llava-clip-llama", .allLinear).lowRankLayers.map(\.base.path)
    XCTAssertEqual(language.count, 3 * 7)
    XCTAssertTrue(language.allSatisfy { $0.hasPrefix("model.language_model.layers.") })
    let vision = try adapted("llava-clip-llama", .allLinear, part: .vision).lowRankLayers.map(\.base.path)
    XCTAssertEqual(vision.count, 3 * 6)
    XCTAssertTrue(vision.allSatisfy { $0.hasPrefix("model.vision_tower.encoder.layers.") })
    XCTAssertEqual(
      try adapted("llava-clip-llama", .allLinear, part: .projector).lowRankLayers.map(\.base.path),
      ["model.multi_modal_projector.linear_1", "model.multi_modal_projector.linear_2"])
    XCTAssertEqual(try adapted("gpt2", .allLinear).lowRankLayers.count, 2 * 4)
  }

  /// In PEFT a bare `q_proj` hits the vision encoder too; here a target is looked for in its own part.
  func testNamesOfOnePartLeaveTheOthersAlone() throws {
    let layers = try adapted("llava-clip-llama", .names(["q_proj", "layers.2.self_attn.v_proj"])).lowRankLayers
    XCTAssertEqual(
      layers.map(\.base.path),
      ["0.self_attn.q_proj", "1.self_attn.q_proj", "2.self_attn.q_proj", "2.self_attn.v_proj"].map {
        "model.language_model.layers." + $0
      })
  }

  func testOnlyTheUpdatesAreTrained() throws {
    let adapted = try adapted("llava-clip-llama", .names(["q_proj"]))
    XCTAssertEqual(
      adapted.trainable.map(\.name),
      (0..<3).flatMap { layer in
        ["A", "B"].map { "model.language_model.layers.\(layer).self_attn.q_proj.lora_\($0).weight" }
      })
  }

  func testATargetThatMatchesNothing() throws {
    let near = try fault { try adapted("llava-clip-llama", .names(["q_proj", "q_porj"])) }
    XCTAssertEqual(near.kind, .badConfiguration)
    XCTAssertEqual(near.place, "train.parts.language.targets")
    XCTAssertTrue(near.what.hasPrefix("target 'q_porj' matches no linear layer"), "\(near)")

    let spelt = try fault { try adapted("llava-clip-llama", .names(["up_porj"])) }
    XCTAssertEqual(spelt.what, "target 'up_porj' matches no linear layer; did you mean 'up_proj'?")

    let pattern = try fault { try adapted("llava-clip-llama", .pattern("q_proj")) }
    XCTAssertEqual(pattern.what, "the targets match no linear layer of the language part")
    XCTAssertTrue(pattern.remedy.contains("'model.language_model.layers.0.self_attn.q_proj'"), "\(pattern)")

    let elsewhere = try fault { try adapted("llava-clip-llama", .names(["gate_proj"]), part: .vision) }
    XCTAssertEqual(elsewhere.place, "train.parts.vision.targets")
  }

  func testATiedHeadIsRefused() throws {
    for (golden, targets) in [
      ("llava-siglip-qwen2", Targets.names(["q_proj", "lm_head"])), ("gpt2", .names(["lm_head"])),
      ("gpt2", .pattern(".*")),
    ] {
      let fault = try fault { try adapted(golden, targets) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertEqual(fault.what, "target 'lm_head' shares its weight with the embedding")
    }
    // One with a weight of its own is a layer like others, when it is named.
    XCTAssertEqual(try adapted("llava-clip-llama", .names(["lm_head"])).lowRankLayers.map(\.base.path), ["lm_head"])
  }

  func testAModelWithoutEyesHasNoPartForThem() throws {
    let settings = LoRASettings(rank: 2, alpha: 4, dropout: 0, targets: .names(["fc1"]))
    let adapted = try AdaptedModel(
      ModelFolder(Golden("gpt2").modelFolder), methods: [.vision: .lora(settings), .language: .full])
    XCTAssertEqual(adapted.lowRankLayers.count, 0)
    XCTAssertEqual(adapted.trainable.count, adapted.model.parameters.count)
  }
}
