import Foundation
import Ground
import Models
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Adapters

/// What PEFT's files hold beside updates of a run's own layers: parts that come whole, what the model has already, and
/// updates that change nothing.
final class PEFTFilesTests: FolderTests {
  private let backend = try! CPUBackend(threads: 1)
  private let prefix = "base_model.model."
  private var adapter: String { folder + "/adapter" }

  private func lora(_ targets: Targets, _ change: (inout LoRASettings) -> Void = { _ in }) -> LoRASettings {
    var settings = LoRASettings(rank: 4, alpha: 8, dropout: 0, targets: targets)
    change(&settings)
    return settings
  }

  private func load(
    _ golden: String, _ methods: [ModelPart: any TuningMethod], adapter: String? = nil, precision: DType = .float32,
    isForTraining: Bool = true
  ) throws -> AdaptedModel {
    let carried = try adapter.map(AdaptedModel.wholeParts) ?? []
    let adapted = try AdaptedModel(ModelFolder(Golden(golden).modelFolder), stages: [methods], carried: carried)
    try adapted.loadWeights(
      adapter: adapter, seed: 1, precision: precision, isForTraining: isForTraining, backend: backend)
    return adapted
  }

  /// Saves an adapter in which everything that is trained has numbers of its own.
  @discardableResult
  private func save(_ golden: String, _ methods: [ModelPart: any TuningMethod]) throws -> AdaptedModel {
    let adapted = try load(golden, methods)
    for parameter in adapted.trainable {
      let stream = RandomStream([77]).named(parameter.name)
      let noise = (0..<parameter.count).map { Float(stream.uniform(at: $0) - 0.5) * 0.2 }
      parameter.value = backend.add(parameter.value, backend.tensor(noise, parameter.shape))
    }
    try adapted.saveAdapter(to: adapter, backend: backend)
    return adapted
  }

  private func change(
    _ change: (inout [StoredTensor]) throws -> Void, _ configuration: (JSON) -> JSON = { $0 }
  ) throws {
    let file = adapter + "/adapter_model.safetensors"
    var tensors = try SafeTensorsFile(file).stored()
    try change(&tensors)
    try writeStored(tensors, to: file)
    let json = try JSON(contentsOf: adapter + "/adapter_config.json")
    try place(configuration(json).indented, "adapter/adapter_config.json")
  }

  private func values(_ adapted: AdaptedModel) -> [String: [Float]] {
    Dictionary(uniqueKeysWithValues: adapted.model.parameters.map { ($0.name, backend.read($0.value)) })
  }

  // MARK: SigLIP's text head

  /// It is the projector's: updates of the text encoder leave it alone, also where they are of all linear layers.
  func testSigLIPsTextHeadIsNotTheTextEncoders() throws {
    let all = lora(.allLinear)
    let cases: [[ModelPart: any TuningMethod]] = [
      [.vision: all, .language: all, .projector: .full], [.language: all], [.projector: all, .language: all],
    ]
    for methods in cases {
      let first = try save("siglip", methods)
      let wrapsHead = methods[.projector] as? LoRASettings != nil
      XCTAssertEqual(first.lowRankLayers.contains { $0.base.path == "text_model.head" }, wrapsHead)
      let json = try JSON(contentsOf: adapter + "/adapter_config.json")
      let isWhole = methods[.projector] as? FullTuning != nil
      XCTAssertEqual(json["modules_to_save"], isWhole ? ["text_model.head"] : .null)
      let found = try AdaptedModel.methods(ofAdapter: adapter, for: first.folder)
      XCTAssertEqual(values(try load("siglip", found, adapter: adapter)), values(first))
      XCTAssertEqual(values(try load("siglip", methods, adapter: adapter)), values(first))
    }
  }

  // MARK: Parts that come whole

  func testTheTensorsTellWhichPartsComeWhole() throws {
    let methods: [ModelPart: any TuningMethod] = [.language: lora(.names(["q_proj"]))]
    for (part, kept, modules) in [
      (.projector, ["linear_1", "linear_2"], ["linear_1", "linear_2"]),
      (.projector, ["linear_2"], ["multi_modal_projector.linear_2"]),
      (.vision, ["pre_layrnorm", "post_layernorm"], ["post_layernorm", "pre_layrnorm"]),
    ] as [(ModelPart, [String], [String])] {
      let saved = try save("llava-clip-llama", methods.merging([part: .full]) { $1 })
      try change { tensors in
        tensors.removeAll { tensor in !tensor.name.contains(".lora_") && !kept.contains { tensor.name.contains($0) } }
      } _: {
        $0.with("modules_to_save", .array(modules.map(JSON.string)))
      }
      XCTAssertEqual(try AdaptedModel.wholeParts(ofAdapter: adapter), [part])
      let first = try load("llava-clip-llama", methods, adapter: adapter)
      let all = values(first)
      for parameter in saved.trainable where kept.contains(where: parameter.name.contains) {
        XCTAssertEqual(all[parameter.name], backend.read(parameter.value), parameter.name)
      }
      // A checkpoint holds the part, and the adapter is written with it.
      let own = first.model.parameters.filter { MultimodalModel.part(of: $0.name) == part }
      XCTAssertTrue(own.allSatisfy { parameter in first.tuned.contains { $0 === parameter } })
      try first.saveAdapter(to: adapter, backend: backend)
      XCTAssertEqual(values(try load("llava-clip-llama", methods, adapter: adapter)), all)
    }
    try save("llava-clip-llama", methods)
    XCTAssertEqual(try AdaptedModel.wholeParts(ofAdapter: adapter), [])
  }

  /// Modules of a part that has updates too, which the run's row does not name.
  func testModulesOfAWrappedVisionEncoderAreNotLost() throws {
    let vision = lora(.names(["q_proj"])) { $0.modulesToSave = ["post_layernorm"] }
    try save("llava-clip-llama", [.vision: vision])
    let fault = try fault {
      try load("llava-clip-llama", [.vision: lora(.names(["q_proj"]))], adapter: adapter)
    }
    XCTAssertEqual(fault.kind, .badConfiguration)
    XCTAssertTrue(fault.what.contains("replaces 'model.vision_tower.post_layernorm."), fault.what)
    XCTAssertTrue(fault.remedy.contains("train.parts.vision"), fault.remedy)
  }

  // MARK: What the model has already

  /// With `bias: all` PEFT's files hold the biases of parts that are frozen.
  func testBiasesOfAFrozenLanguageModel() throws {
    let (name, bias) = ("llava-siglip-qwen2", "model.language_model.layers.1.self_attn.q_proj.bias")
    let methods: [ModelPart: any TuningMethod] = [.vision: lora(.names(["q_proj"])) { $0.biases = .all }]
    let first = try save(name, methods)
    XCTAssertNotNil(try SafeTensorsFile(adapter + "/adapter_model.safetensors").entries[prefix + bias])
    let found = try AdaptedModel.methods(ofAdapter: adapter, for: first.folder)
    XCTAssertEqual(values(try load(name, found, adapter: adapter)), values(first))
    // Biases that were trained are no less the adapter's, but a run would lose them.
    try change({ tensors in
      for index in tensors.indices where tensors[index].name == self.prefix + bias {
        tensors[index] = StoredTensor(tensors[index].name, tensors[index].shape)
      }
    })
    let read = try load(name, found, adapter: adapter, isForTraining: false)
    XCTAssertNotEqual(values(read)[bias], values(first)[bias])
    let fault = try fault { try load(name, found, adapter: adapter) }
    XCTAssertEqual(fault.what, "the adapter replaces '\(bias)', which the run would neither train nor write again")
  }

  /// PEFT saves the weight of a head that has an update, and the embeddings on demand.
  func testAHeadsOwnWeightBesideItsUpdate() throws {
    let name = "llava-clip-llama"
    let methods: [ModelPart: any TuningMethod] = [.language: lora(.names(["q_proj", "lm_head"]))]
    let first = try save(name, methods)
    let own = Dictionary(uniqueKeysWithValues: first.model.parameters.map { ($0.name, $0) })
    func stored(_ parameter: String, _ key: String) throws -> StoredTensor {
      let parameter = try XCTUnwrap(own[parameter])
      return StoredTensor(
        prefix + key, .float32, parameter.shape, backend.read(parameter.value).withUnsafeBytes(Array.init))
    }
    try change({ tensors in
      tensors.append(try stored("lm_head.weight", "lm_head.base_layer.weight"))
      tensors.append(
        try stored("model.language_model.embed_tokens.weight", "model.language_model.embed_tokens.weight"))
    })
    XCTAssertEqual(values(try load(name, methods, adapter: adapter)), values(first))
    let short = try load(name, methods, adapter: adapter, precision: .bfloat16)
    XCTAssertEqual(short.model.parameters.first { $0.name == "lm_head.weight" }?.value.dtype, .bfloat16)
    try change({ tensors in
      for index in tensors.indices where tensors[index].name.hasSuffix("lm_head.base_layer.weight") {
        tensors[index].bytes[2] ^= 0x10
      }
    })
    for isForTraining in [true, false] {
      let fault = try fault { try load(name, methods, adapter: adapter, isForTraining: isForTraining) }
      XCTAssertEqual(fault.kind, .badData)
      XCTAssertTrue(fault.what.hasSuffix("lm_head.base_layer.weight' is not the model's 'lm_head.weight'"), fault.what)
      XCTAssertEqual(fault.remedy, "use the adapter with the model that it was trained on")
    }
  }

  // MARK: Updates that change nothing

  /// PEFT wraps the last layer of SigLIP's pooling attention too, whose weight PyTorch reads past the wrapping.
  func testUpdatesOfThePoolingAttentionAreLeftOut() throws {
    for (name, place, width) in [
      ("siglip", "vision_model", 16), ("llava-siglip-qwen2", "model.vision_tower", 32),
      ("llava-clip-llama", "model.vision_tower", 32),
    ] {
      let methods: [ModelPart: any TuningMethod] = [.vision: lora(.names(["out_proj"]))]
      let first = try save(name, methods)
      let module = place + ".head.attention.out_proj"
      try change({ tensors in
        tensors.append(StoredTensor(self.prefix + module + ".lora_A.weight", [4, width]))
        tensors.append(StoredTensor(self.prefix + module + ".lora_B.weight", [width, 4]))
      })
      guard name != "llava-clip-llama" else {
        let fault = try fault { try load(name, methods, adapter: adapter) }
        XCTAssertTrue(fault.what.contains("has no place in the model"), fault.what)
        continue
      }
      let again = try load(name, methods, adapter: adapter)
      XCTAssertEqual(values(again), values(first))
      XCTAssertEqual(again.loadReport.withoutEffect, [module])
      XCTAssertEqual(
        again.loadReport.notes(""),
        ["left out of the adapter, as PEFT's forward pass does not use them either: updates of \(module)"])
    }
  }
}
