import Foundation
import Ground
import Models
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Adapters

/// Adapters on disk: faults, round trips, merging.
final class AdapterFilesTests: FolderTests {
  private func settings(_ targets: Targets, rank: Int = 4, alpha: Double = 8) -> LoRASettings {
    LoRASettings(rank: rank, alpha: alpha, dropout: 0, targets: targets)
  }

  private func adapted(
    _ golden: String, _ methods: [ModelPart: any TuningMethod], adapter: String? = nil, seed: UInt64 = 1,
    _ backend: any Backend
  ) throws -> AdaptedModel {
    let adapted = try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: methods)
    try adapted.loadWeights(adapter: adapter, seed: seed, precision: .float32, backend: backend)
    return adapted
  }

  /// Gives everything that is trained numbers of its own, so that no update is zero.
  private func disturb(_ adapted: AdaptedModel, _ backend: any Backend) {
    for parameter in adapted.trainable {
      let stream = RandomStream([77]).named(parameter.name)
      let noise = (0..<parameter.count).map { Float(stream.uniform(at: $0) - 0.5) * 0.2 }
      parameter.value = backend.add(parameter.value, backend.tensor(noise, parameter.shape))
    }
  }

  private func trained(_ adapted: AdaptedModel, _ backend: any Backend) -> [String: [Float]] {
    Dictionary(uniqueKeysWithValues: adapted.trainable.map { ($0.name, backend.read($0.value)) })
  }

  // MARK: Faults

  /// GPT-2's adapter of the reference, with its tensors and configuration changed.
  private func changedAdapter(
    _ change: (inout [StoredTensor]) -> Void = { _ in }, configuration: (JSON) -> JSON = { $0 }
  ) throws -> String {
    let origin = try Golden("gpt2").folder + "/adapter_init"
    let json = try JSON(contentsOf: origin + "/adapter_config.json")
    try place(configuration(json).indented, "adapter/adapter_config.json")
    var tensors = try SafeTensorsFile(origin + "/adapter_model.safetensors").stored()
    change(&tensors)
    try writeStored(tensors, to: folder + "/adapter/adapter_model.safetensors")
    return folder + "/adapter"
  }

  private let targets = Targets.names(["c_attn", "c_fc", "c_proj"])
  private let key = "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"

  private func refuses(
    _ kind: Fault.Kind, _ words: [String], _ settings: LoRASettings? = nil, line: UInt = #line,
    _ change: (inout [StoredTensor]) -> Void = { _ in }
  ) throws {
    let adapter = try changedAdapter(change)
    let settings = settings ?? self.settings(targets)
    let fault = try fault(line: line) {
      try adapted("gpt2", [.language: .lora(settings)], adapter: adapter, CPUBackend(threads: 1))
    }
    XCTAssertEqual(fault.kind, kind, line: line)
    XCTAssertTrue(fault.place?.hasPrefix(folder) ?? false, line: line)
    for word in words { XCTAssertTrue(fault.what.contains(word), "\(fault)", line: line) }
  }

  func testAModuleThatTheRunWouldNotWriteAgainIsRefused() throws {
    let backend = try CPUBackend(threads: 1)
    let path = Golden.fixtures + "/lora-family/llava-modules"
    let model = try ModelFolder(Golden("llava-clip-llama").modelFolder)
    var methods = try AdaptedModel.methods(ofAdapter: path, for: model)
    XCTAssertNoThrow(try adapted("llava-clip-llama", methods, adapter: path, backend))
    var settings = try XCTUnwrap(methods[.language] as? LoRASettings)
    settings.modulesToSave = []
    methods[.language] = settings
    let fault = try fault { try adapted("llava-clip-llama", methods, adapter: path, backend) }
    XCTAssertEqual(fault.kind, .badConfiguration)
    XCTAssertTrue(fault.what.contains("replaces 'model.language_model."), fault.what)
  }

  func testTheUnchangedAdapterIsLoaded() throws {
    let backend = try CPUBackend(threads: 1)
    let path = try changedAdapter()
    let found = trained(
      try adapted("gpt2", [.language: .lora(settings(targets))], adapter: path, backend), backend)
    let file = try SafeTensorsFile(path + "/adapter_model.safetensors")
    XCTAssertEqual(found.count, file.entries.count)
    for (name, values) in found { XCTAssertEqual(try file.floats("base_model.model." + name), values, name) }
  }

  func testKeysWithoutAPlace() throws {
    try refuses(.badData, ["the adapter's 'base_model.model.transformer.h.7", "has no place"]) {
      $0.append(StoredTensor("base_model.model.transformer.h.7.attn.c_attn.lora_A.weight", [4, 48]))
    }
    try refuses(
      .badData, ["c_attm.lora_A.weight' has no place", "did you mean 'transformer.h.0.attn.c_attn.lora_A.weight'?"]
    ) { tensors in
      for index in tensors.indices where tensors[index].name == self.key {
        tensors[index].name = tensors[index].name.replacingOccurrences(of: "c_attn", with: "c_attm")
      }
    }
  }

  func testMissingKeys() throws {
    try refuses(.badData, ["the adapter has no 'transformer.h.0.attn.c_attn.lora_A.weight'"]) { tensors in
      tensors.removeAll { $0.name == self.key }
    }
    try refuses(.badData, ["the adapter has no 'transformer.h.1.", "and 7 more"]) { tensors in
      tensors.removeAll { $0.name.contains("h.1.") }
    }
  }

  func testWrongShapesAndTypes() throws {
    try refuses(.badData, ["'\(key)' is F32 [8, 48], the model's [4, 48]"]) { tensors in
      for index in tensors.indices where tensors[index].name == self.key {
        tensors[index] = StoredTensor(self.key, [8, 48])
      }
    }
    try refuses(.badData, ["'\(key)' is I32 [4, 48]"]) { tensors in
      for index in tensors.indices where tensors[index].name == self.key { tensors[index].dtype = .int32 }
    }
  }

  func testOtherSettingsThanTheAdapters() throws {
    try refuses(
      .badConfiguration, ["train.parts.language.rank is 8, the adapter's is 4"], settings(targets, rank: 8))
    try refuses(
      .badConfiguration, ["train.parts.language.alpha is 16.0, the adapter's is 8.0"], settings(targets, alpha: 16))
    // Fewer targets than the adapter has, and more.
    try refuses(
      .badConfiguration, ["train.parts.language.targets leaves out transformer.h.0.", "the adapter's has it"],
      settings(.names(["c_attn"])))
    // What the adapter's own configuration names and its file lacks is damage.
    let adapter = try changedAdapter({ tensors in tensors.removeAll { $0.name.contains("c_fc") } })
    let fault = try fault {
      try adapted("gpt2", [.language: .lora(settings(targets))], adapter: adapter, CPUBackend(threads: 1))
    }
    XCTAssertTrue(fault.what.contains("the adapter has no 'transformer.h.0.mlp.c_fc.lora_A.weight' and 3 more"))
  }

  func testMoreTargetsThanTheAdapters() throws {
    let narrow = try changedAdapter({ tensors in tensors.removeAll { $0.name.contains("c_fc") } }) {
      $0.with("target_modules", ["c_attn", "c_proj"])
    }
    let fault = try fault {
      try adapted("gpt2", [.language: .lora(settings(targets))], adapter: narrow, CPUBackend(threads: 1))
    }
    XCTAssertEqual(fault.kind, .badConfiguration)
    XCTAssertEqual(
      fault.what, "train.parts.language.targets has transformer.h.0.mlp.c_fc, the adapter's leaves it out")
  }

  func testAnUnsupportedAdapterIsNotLoaded() throws {
    let adapter = try changedAdapter(configuration: { $0.with("use_qalora", true) })
    let fault = try fault {
      try adapted("gpt2", [.language: .lora(settings(targets))], adapter: adapter, CPUBackend(threads: 1))
    }
    XCTAssertTrue(fault.what.contains("'use_qalora'"), "\(fault)")
  }

  func testHalfPrecisionAdaptersAreWidened() throws {
    let backend = try CPUBackend(threads: 1)
    let path = try changedAdapter({ tensors in
      for index in tensors.indices {
        let bytes = tensors[index].bytes
        tensors[index].dtype = .bfloat16
        tensors[index].bytes = stride(from: 0, to: bytes.count, by: 4).flatMap { [bytes[$0 + 2], bytes[$0 + 3]] }
      }
    })
    let found = try adapted("gpt2", [.language: .lora(settings(targets))], adapter: path, backend)
    let origin = try SafeTensorsFile(Golden("gpt2").folder + "/adapter_init/adapter_model.safetensors")
    for parameter in found.trainable {
      XCTAssertEqual(parameter.value.dtype, .float32)
      let wanted = try origin.floats("base_model.model." + parameter.name).map {
        Float(bitPattern: $0.bitPattern & 0xFFFF_0000)
      }
      XCTAssertEqual(backend.read(parameter.value), wanted, parameter.name)
    }
  }

  // MARK: Round trips

  func testWhatIsSavedIsLoadedBitForBit() throws {
    let backend = try CPUBackend(threads: 1)
    let cases: [(String, [ModelPart: any TuningMethod])] = [
      ("gpt2", [.language: .lora(settings(targets))]),
      (
        "llava-clip-llama",
        [.vision: .lora(settings(.names(["q_proj"]))), .projector: .full, .language: .lora(settings(.allLinear))]
      ),
      ("llava-siglip-qwen2", [.projector: .full]),
    ]
    for (name, methods) in cases {
      let first = try adapted(name, methods, backend)
      disturb(first, backend)
      let path = folder + "/" + name
      try first.saveAdapter(to: path, backend: backend)
      try first.saveAdapter(to: path, backend: backend)  // in place of the former one
      XCTAssertEqual(
        try FileManager.default.contentsOfDirectory(atPath: path).sorted(),
        ["adapter_config.json", "adapter_model.safetensors"])
      XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix(name) }, [name])
      let second = try adapted(name, methods, adapter: path, seed: 2, backend)
      XCTAssertEqual(trained(second, backend), trained(first, backend), name)
    }
  }

  func testMethodsAreFoundInTheFilesAgain() throws {
    let backend = try CPUBackend(threads: 1)
    let methods: [ModelPart: any TuningMethod] = [
      .vision: .lora(settings(.names(["q_proj"]))), .projector: .full, .language: .lora(settings(.allLinear)),
    ]
    let first = try adapted("llava-clip-llama", methods, backend)
    try first.saveAdapter(to: folder + "/adapter", backend: backend)
    let found = try AdaptedModel.methods(ofAdapter: folder + "/adapter", for: first.folder)
    XCTAssertEqual(Set(found.keys), [.vision, .language])
    let again = try AdaptedModel(first.folder, methods: found)
    XCTAssertEqual(again.lowRankLayers.map(\.base.path), first.lowRankLayers.map(\.base.path))
    XCTAssertEqual(again.lowRankLayers.map(\.scale), first.lowRankLayers.map(\.scale))
  }

  /// What differs between the parts is said by patterns.
  func testPartsWithRanksOfTheirOwnShareAFile() throws {
    let backend = try CPUBackend(threads: 1)
    var vision = settings(.allLinear, rank: 2, alpha: 3)
    vision.rankPattern = PatternTable([.init("fc1", 1)])
    let methods: [ModelPart: any TuningMethod] = [
      .vision: .lora(vision), .language: .lora(settings(.names(["q_proj", "up_proj"]))),
    ]
    let first = try adapted("llava-clip-llama", methods, backend)
    disturb(first, backend)
    try first.saveAdapter(to: folder + "/adapter", backend: backend)
    let json = try JSON(contentsOf: folder + "/adapter/adapter_config.json")
    XCTAssertEqual(json["r"], 2)
    let vit = #"model\.vision_tower\.encoder\.layers\.\d+\.mlp\.fc1"#
    let llama = #"model\.language_model\.layers\.\d+\."#
    let language = "(\(llama)self_attn\\.q_proj|\(llama)mlp\\.up_proj)"
    XCTAssertEqual(json["rank_pattern"], .object(["(\(vit))": 1, language: 4]))
    XCTAssertEqual(json["alpha_pattern"], .object([language: 8]))
    let second = try adapted("llava-clip-llama", methods, adapter: folder + "/adapter", seed: 2, backend)
    XCTAssertEqual(trained(second, backend), trained(first, backend))
    let found = try AdaptedModel.methods(ofAdapter: folder + "/adapter", for: first.folder)
    let again = try adapted("llava-clip-llama", found, adapter: folder + "/adapter", seed: 3, backend)
    XCTAssertEqual(again.lowRankLayers.map(\.scale), first.lowRankLayers.map(\.scale))
    XCTAssertEqual(trained(again, backend), trained(first, backend))
    let other = try fault {
      try adapted(
        "llava-clip-llama", [.vision: .lora(vision), .language: .lora(settings(.names(["q_proj"]), rank: 2))],
        adapter: folder + "/adapter", backend)
    }
    XCTAssertEqual(other.what, "train.parts.language.rank is 2, the adapter's is 4")
  }

  /// PEFT matches `target_modules` against every module of the model, so the expression must hit these alone.
  func testTheSavedExpressionHitsExactlyTheWrappedLayers() throws {
    let backend = try CPUBackend(threads: 1)
    let layers = #"model\.language_model\.layers\."#
    let cases: [(Targets, String)] = [
      (.names(["q_proj"]), "(\(layers)\\d+\\.self_attn\\.q_proj)"),
      (.pattern(#".*layers\.1\.self_attn\.q_proj"#), "(\(layers)1\\.self_attn\\.q_proj)"),
      (
        .pattern(#".*layers\.[02]\.mlp\.(up|down)_proj"#),
        "(\(layers)0\\.mlp\\.up_proj|\(layers)0\\.mlp\\.down_proj"
          + "|\(layers)2\\.mlp\\.up_proj|\(layers)2\\.mlp\\.down_proj)"
      ),
    ]
    for (index, (targets, wanted)) in cases.enumerated() {
      let adapted = try adapted("llava-clip-llama", [.language: .lora(settings(targets))], backend)
      let path = folder + "/adapter\(index)"
      try adapted.saveAdapter(to: path, backend: backend)
      XCTAssertEqual(try JSON(contentsOf: path + "/adapter_config.json")["target_modules"], .string(wanted))
      let matches = try PEFTConfiguration(contentsOf: path + "/adapter_config.json").lora.targets.matcher()
      XCTAssertEqual(
        adapted.model.linears.map(\.path).filter { matches($0, $0 == "lm_head") },
        adapted.lowRankLayers.map(\.base.path))
    }
  }

  func testALanguageModelAloneKeepsItsTargetsAsTheyAre() throws {
    let backend = try CPUBackend(threads: 1)
    let adapted = try adapted("gpt2", [.language: .lora(settings(targets))], backend)
    try adapted.saveAdapter(to: folder + "/adapter", backend: backend)
    let json = try JSON(contentsOf: folder + "/adapter/adapter_config.json")
    XCTAssertEqual(json["target_modules"], ["c_attn", "c_fc", "c_proj"])
    XCTAssertEqual(json["fan_in_fan_out"], true)
  }
}
