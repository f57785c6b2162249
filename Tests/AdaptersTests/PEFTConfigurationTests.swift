import Ground
import RunFile
import TestSupport
import XCTest

@testable import Adapters

/// `adapter_config.json`: what is read, what is refused, what is written.
final class PEFTConfigurationTests: FolderTests {
  private let plain: JSON = [
    "peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": ["q_proj", "v_proj"],
    "bias": "none", "base_model_name_or_path": "some/model", "modules_to_save": ["multi_modal_projector"],
  ]

  private func read(_ json: JSON) throws -> PEFTConfiguration {
    try PEFTConfiguration(contentsOf: place(json.indented, "adapter_config.json"))
  }

  func testWhatIsRead() throws {
    var settings = LoRASettings(rank: 4, alpha: 8, dropout: 0.1, targets: .names(["q_proj", "v_proj"]))
    settings.modulesToSave = ["multi_modal_projector"]
    XCTAssertEqual(try read(plain), PEFTConfiguration(settings, baseModel: "some/model"))
    XCTAssertEqual(try read(plain.with("target_modules", "all-linear")).lora.targets, .allLinear)
    XCTAssertEqual(try read(plain.with("target_modules", ".*q_proj")).lora.targets, .pattern(".*q_proj"))
    XCTAssertEqual(try read(plain.with("lora_alpha", 0.5)).lora.alpha, 0.5)
    XCTAssertEqual(try read(plain.without("lora_dropout").without("modules_to_save")).lora.dropout, 0)
  }

  func testTheVariantsAreRead() throws {
    XCTAssertTrue(try read(plain.with("use_dora", true)).lora.hasMagnitudes)
    XCTAssertTrue(try read(plain.with("use_rslora", true)).lora.isRankStabilised)
    XCTAssertEqual(try read(plain.with("bias", "lora_only")).lora.biases, .wrapped)
    XCTAssertEqual(
      try read(plain.with("rank_pattern", ["v_proj": 8, "q_proj": 2])).lora.rankPattern,
      PatternTable([.init("v_proj", 8), .init("q_proj", 2)]))
    XCTAssertEqual(
      try read(plain.with("alpha_pattern", ["q_proj": 0.5])).lora.alphaPattern, PatternTable([.init("q_proj", 0.5)]))
    XCTAssertEqual(try read(plain.with("exclude_modules", ["v_proj"])).lora.excluded, .names(["v_proj"]))
    XCTAssertEqual(try read(plain.with("exclude_modules", ".*3.*")).lora.excluded, .pattern(".*3.*"))
    XCTAssertEqual(try read(plain.with("layers_to_transform", 3)).lora.layers, LayerSet([3]))
    XCTAssertEqual(try read(plain.with("layers_to_transform", [0, 2])).lora.layers, LayerSet([0, 2]))
    XCTAssertNil(try read(plain.with("layers_to_transform", [])).lora.layers)
    let layered = try read(plain.with("layers_to_transform", [1]).with("layers_pattern", "blocks"))
    XCTAssertEqual(
      try layered.wrapped(
        among: ["a.layers.1.q_proj", "a.blocks.1.q_proj", "blocks.1.v_proj", "a.blocks.0.q_proj", "a.blocks.1.o_proj"]),
      ["a.blocks.1.q_proj", "blocks.1.v_proj"])
    XCTAssertEqual(
      try read(plain.with("layers_to_transform", [1])).wrapped(among: [
        "a.layers.1.q_proj", "a.blocks.0.layers.1.q_proj",
      ]),
      ["a.layers.1.q_proj"])
  }

  func testVariantsThatMakeNoSense() throws {
    for (key, bad) in [
      ("use_dora", [1, "yes"]), ("bias", ["some", true]),
      ("rank_pattern", [["q_proj": 0], ["q_proj": 70000], [4], "x"]),
      ("alpha_pattern", [["q_proj": "x"], 3]), ("layers_to_transform", [[-1], "x", [0.5]]),
      ("modules_to_save", [[3], 3]),
    ] as [(String, [JSON])] {
      for value in bad {
        let fault = try fault("\(key) \(value)") { try read(plain.with(key, value)) }
        XCTAssertEqual(fault.kind, .badData)
        XCTAssertEqual(fault.what, "'\(key)' is \(value)")
      }
    }
    let both = plain.with("layers_to_transform", [0]).with("target_modules", "all-linear")
    XCTAssertEqual(try fault { try read(both) }.what, "'layers_to_transform' is [0]")
    let broken = try read(plain.with("rank_pattern", ["(": 3]))
    XCTAssertEqual(try fault { try broken.wrapped(among: ["q_proj"]) }.kind, .badConfiguration)
  }

  func testTheReferencesAdaptersAreRead() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "gpt2"] {
      let golden = try Golden(name)
      let configuration = try PEFTConfiguration(contentsOf: golden.folder + "/adapter_init/adapter_config.json")
      XCTAssertEqual(configuration.lora.rank, golden.json["lora"]?["lora"]?["r"]?.integer)
      XCTAssertEqual(configuration.lora.alpha, golden.json["lora"]?["lora"]?["lora_alpha"]?.double)
    }
  }

  /// Every field that changes what an adapter computes, with a value that uses it.
  func testEveryUnsupportedFieldIsRefusedByName() throws {
    let used: [String: JSON] = [
      "trainable_token_indices": [1, 2], "lora_bias": true, "use_qalora": true, "layer_replication": [[0, 4]],
      "target_parameters": ["experts.up"], "alora_invocation_tokens": [1], "use_bdlora": true,
      "arrow_config": ["top_k": 3], "megatron_config": [:], "kasa_config": [:], "monteclora_config": [:],
      "velora_config": [:], "init_lora_weights": "pissa",
    ]
    for (key, value) in used {
      let fault = try fault(key) { try read(plain.with(key, value)) }
      XCTAssertEqual(fault.kind, .badConfiguration, key)
      XCTAssertTrue(fault.what.hasPrefix("'\(key)'"), "\(fault)")
      XCTAssertEqual(fault.place, folder + "/adapter_config.json")
    }
  }

  func testFieldsThatAreNotUsedAreTaken() throws {
    let unused: [String: JSON] = [
      "use_dora": false, "use_rslora": nil, "rank_pattern": [:], "alpha_pattern": nil, "layers_to_transform": nil,
      "exclude_modules": [], "loftq_config": [:], "init_lora_weights": "gaussian", "fan_in_fan_out": true,
      "task_type": "CAUSAL_LM", "inference_mode": true, "revision": "main", "qalora_group_size": 16,
    ]
    for (key, value) in unused { XCTAssertEqual(try read(plain.with(key, value)), try read(plain), key) }
  }

  func testInitialisationsThatChangeTheBaseAreRefused() throws {
    for start in ["pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga"] {
      let fault = try fault(start) { try read(plain.with("init_lora_weights", .string(start))) }
      XCTAssertTrue(fault.what.contains("\"\(start)\""), "\(fault)")
    }
    for start: JSON in [true, false, nil, "gaussian", "eva", "orthogonal"] {
      XCTAssertNoThrow(try read(plain.with("init_lora_weights", start)))
    }
  }

  func testOtherMethodsAreRefused() throws {
    for type: JSON in ["IA3", "LOHA", "PROMPT_TUNING", nil, 3] {
      let fault = try fault("\(type)") { try read(plain.with("peft_type", type)) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.what.hasPrefix("'peft_type' \(type)"), "\(fault)")
    }
    XCTAssertEqual(try fault { try read(plain.without("peft_type")) }.kind, .badConfiguration)
  }

  func testMissingAndImpossibleFields() throws {
    for (key, bad) in [
      ("r", [0, -1, 65537, "4", 4.5, nil, .integer(.max)]), ("lora_alpha", ["8", nil, [8]]),
      ("target_modules", [nil, 3, [:]]),
    ] as [(String, [JSON])] {
      for value in bad {
        let fault = try fault("\(key) \(value)") { try read(plain.with(key, value)) }
        XCTAssertEqual(fault.kind, .badData)
        XCTAssertEqual(fault.what, "'\(key)' is \(value)")
      }
      XCTAssertEqual(try fault { try read(plain.without(key)) }.what, "'\(key)' is missing")
    }
    try place("[1", "adapter_config.json")
    XCTAssertEqual(try fault { try PEFTConfiguration(contentsOf: folder + "/adapter_config.json") }.kind, .badData)
    XCTAssertEqual(try fault { try PEFTConfiguration(contentsOf: folder + "/none.json") }.kind, .missingInput)
  }

  func testWhatIsWrittenIsReadAsTheSame() throws {
    let targets: [Targets] = [
      .allLinear, .pattern(#"(model\.layers\.\d+\.mlp)"#), .names(["q_proj", "v_proj"]),
      .names([PEFTConfiguration.noTarget]),
    ]
    for targets in targets {
      for (alpha, saved) in [(16, []), (0.75, ["multi_modal_projector", "vision_tower"])] as [(Double, [String])] {
        var settings = LoRASettings(rank: 3, alpha: alpha, dropout: 0.1, targets: targets)
        settings.modulesToSave = saved
        if alpha == 16 {
          settings.hasMagnitudes = true
          settings.isRankStabilised = true
          settings.biases = .all
          settings.excluded = .names(["a.b"])
          settings.rankPattern = PatternTable([.init("b", 2), .init("a", 5)])
          settings.alphaPattern = PatternTable([.init(#"a\.\d+"#, 0.5)])
          if case .names = targets { settings.layers = LayerSet([1, 2, 7]) }
        }
        var configuration = PEFTConfiguration(settings, baseModel: "/a \"b\"/ü")
        if settings.layers != nil { configuration.layersPattern = ["h", "layers"] }
        for fanInFanOut in [false, true] {
          let json = configuration.json(fanInFanOut: fanInFanOut)
          XCTAssertEqual(try read(json), configuration)
          XCTAssertEqual(json["fan_in_fan_out"], .bool(fanInFanOut))
          XCTAssertEqual(json["peft_type"], "LORA")
        }
      }
    }
  }

  func testAnAdapterWithoutUpdatesHasNoSettings() throws {
    XCTAssertNil(try read(plain.with("target_modules", .string(PEFTConfiguration.noTarget))).settings)
    XCTAssertEqual(try read(plain).settings?.rank, 4)
  }
}
