import Foundation
import Ground
import Models
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Adapters

/// Prompts and prefixes on disk, beside other methods, and where they make no sense.
final class VirtualTokenTests: FolderTests {
  private func adapted(
    _ golden: String, _ methods: [ModelPart: any TuningMethod], adapter: String? = nil, seed: UInt64 = 1,
    _ backend: any Backend
  ) throws -> AdaptedModel {
    let carried = try adapter.map(AdaptedModel.wholeParts) ?? []
    let adapted = try AdaptedModel(ModelFolder(Golden(golden).modelFolder), stages: [methods], carried: carried)
    try adapted.loadWeights(adapter: adapter, seed: seed, precision: .float32, backend: backend)
    return adapted
  }

  private func trained(_ adapted: AdaptedModel, _ backend: any Backend) -> [String: [Float]] {
    Dictionary(uniqueKeysWithValues: adapted.trainable.map { ($0.name, backend.read($0.value)) })
  }

  private func refusal(_ golden: String, _ methods: [ModelPart: any TuningMethod]) throws -> Fault {
    try fault { try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: methods) }
  }

  func testWhatMakesNoSenseIsRefused() throws {
    for part in [ModelPart.vision, .projector] {
      for method in [PromptTuning(tokens: 3), PrefixTuning(tokens: 3)] as [any TuningMethod] {
        let fault = try refusal("llava-clip-llama", [part: method])
        XCTAssertEqual(fault.kind, .badConfiguration)
        XCTAssertTrue(fault.what.contains("the \(part.rawValue) part reads no tokens"), "\(fault)")
      }
    }
    let positions = try XCTUnwrap(ModelFolder(Golden("gpt2").modelFolder).makeModel().longestSequence)
    let fault = try refusal("gpt2", [.language: PromptTuning(tokens: positions)])
    XCTAssertTrue(fault.what.contains("\(positions) virtual tokens leave nothing"), "\(fault)")
    let fits = try AdaptedModel(
      ModelFolder(Golden("gpt2").modelFolder), methods: [.language: PrefixTuning(tokens: positions - 3)])
    XCTAssertEqual(fits.model.longestSequence, 3)
  }

  func testTheBeginningIsAFunctionOfTheSeed() throws {
    let backend = try CPUBackend(threads: 1)
    for method in [PromptTuning(tokens: 40), PrefixTuning(tokens: 40), PrefixTuning(tokens: 40, projection: 8)]
      as [any TuningMethod]
    {
      let first = trained(try adapted("gpt2", [.language: method], backend), backend)
      XCTAssertEqual(trained(try adapted("gpt2", [.language: method], backend), backend), first)
      XCTAssertNotEqual(trained(try adapted("gpt2", [.language: method], seed: 2, backend), backend), first)
      for (name, values) in first where !name.contains("weight") && !name.contains("bias") {
        let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
        let square = values.reduce(0) { $0 + Double($1 * $1) } / Double(values.count)
        XCTAssertEqual(mean, 0, accuracy: 0.12, name)
        XCTAssertEqual(square, 1, accuracy: 0.2, name)
      }
    }
  }

  private var lora: LoRASettings { LoRASettings(rank: 2, alpha: 4, dropout: 0, targets: .names(["q_proj"])) }

  /// What is trained comes back to the bit, and the files alone say how it was trained.
  func testRoundTripsWithOtherParts() throws {
    let backend = try CPUBackend(threads: 1)
    let cases: [([ModelPart: any TuningMethod], [String])] = [
      ([.language: PromptTuning(tokens: 3)], ["adapter_config.json", "adapter_model.safetensors"]),
      ([.projector: .full, .language: PrefixTuning(tokens: 2)], ["adapter_config.json", "adapter_model.safetensors"]),
      ([.vision: lora, .language: PromptTuning(tokens: 3)], ["language", "vision"]),
      ([.vision: lora, .projector: .full, .language: PrefixTuning(tokens: 3)], ["language", "projector", "vision"]),
      ([.projector: lora.everywhere, .language: PromptTuning(tokens: 1)], ["language", "projector"]),
    ]
    for (index, (methods, files)) in cases.enumerated() {
      let first = try adapted("llava-clip-llama", methods, backend)
      for parameter in first.trainable {
        let draws = RandomStream([5]).named(parameter.name)
        parameter.value = backend.tensor(
          (0..<parameter.count).map { Float(draws.uniform(at: $0)) }, parameter.shape)
      }
      let path = "\(folder)/\(index)"
      try first.saveAdapter(to: path, backend: backend)
      XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: path).sorted(), files)
      let second = try adapted("llava-clip-llama", methods, adapter: path, seed: 9, backend)
      XCTAssertEqual(trained(second, backend), trained(first, backend))
      // As a command reads it: nothing is known but the files.
      let found = try AdaptedModel.methods(ofAdapter: path, for: first.folder)
      XCTAssertEqual(Set(found.keys), Set(methods.keys.filter { !(methods[$0] is FullTuning) }))
      let third = try adapted("llava-clip-llama", found, adapter: path, seed: 9, backend)
      let values = Dictionary(uniqueKeysWithValues: third.model.parameters.map { ($0.name, $0.value) })
      for parameter in first.trainable {
        let own = try XCTUnwrap(values[parameter.name], parameter.name)
        XCTAssertEqual(backend.read(own), backend.read(parameter.value), parameter.name)
      }
    }
  }

  func testOtherSettingsThanTheAdapters() throws {
    let backend = try CPUBackend(threads: 1)
    try adapted("gpt2", [.language: PromptTuning(tokens: 3)], backend).saveAdapter(
      to: folder + "/prompt", backend: backend)
    try adapted("gpt2", [.language: PrefixTuning(tokens: 3)], backend).saveAdapter(
      to: folder + "/prefix", backend: backend)
    for (method, adapter, what) in [
      (PromptTuning(tokens: 4), "prompt", "tokens is 4, the adapter's is 3"),
      (PromptTuning(tokens: 3), "prefix", "train.parts.language is prompt, which is not how"),
      (PrefixTuning(tokens: 3), "prompt", "train.parts.language is prefix, which is not how"),
      (LoRASettings(rank: 1, alpha: 1, dropout: 0, targets: .allLinear), "prompt", "which is not how"),
      (PrefixTuning(tokens: 3, projection: 8), "prefix", "what the projection gave"),
    ] as [(any TuningMethod, String, String)] {
      let fault = try fault { try adapted("gpt2", [.language: method], adapter: "\(folder)/\(adapter)", backend) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.what.contains(what), "\(fault)")
    }
  }

  func testHostileFiles() throws {
    let backend = try CPUBackend(threads: 1)
    let model = try ModelFolder(Golden("gpt2").modelFolder)
    try adapted("gpt2", [.language: PromptTuning(tokens: 3)], backend).saveAdapter(
      to: folder + "/adapter", backend: backend)
    let path = folder + "/adapter"
    let json = try JSON(contentsOf: path + "/adapter_config.json")
    for (key, value, what) in [
      ("num_virtual_tokens", .integer(1 << 40), "'num_virtual_tokens' is"),
      ("num_virtual_tokens", 4, "is [3, 48], 4 virtual tokens of this model are [4, 48]"),
      ("num_virtual_tokens", 0, "'num_virtual_tokens' is 0"),
      ("num_virtual_tokens", nil, "'num_virtual_tokens' is null"),
      ("num_transformer_submodules", 2, "'num_transformer_submodules'"), ("peft_type", "CPT", "'peft_type'"),
    ] as [(String, JSON, String)] {
      try json.with(key, value).indented.write(
        toFile: path + "/adapter_config.json", atomically: false, encoding: .utf8)
      let fault = try fault { try AdaptedModel.methods(ofAdapter: path, for: model) }
      XCTAssertTrue(fault.what.contains(what), "\(fault)")
    }
    try json.indented.write(toFile: path + "/adapter_config.json", atomically: false, encoding: .utf8)
    let file = path + "/adapter_model.safetensors"
    let whole = try SafeTensorsFile(file).stored()
    for (tensors, what) in [
      ([], "no 'prompt_embeddings'"), (whole + [StoredTensor("base_model.transformer.h.9.x", [2])], "has no place"),
      ([StoredTensor("prompt_embeddings", [3, 7])], "is F32 [3, 7], the model's [3, 48]"),
    ] as [([StoredTensor], String)] {
      try writeStored(tensors, to: file)
      let fault = try fault { try adapted("gpt2", [.language: PromptTuning(tokens: 3)], adapter: path, backend) }
      XCTAssertEqual(fault.kind, .badData)
      XCTAssertTrue(fault.what.contains(what), "\(fault)")
    }
  }

  func testNothingIsMerged() throws {
    let backend = try CPUBackend(threads: 1)
    let model = try adapted("gpt2", [.language: PrefixTuning(tokens: 3)], backend)
    let fault = try fault { try model.exportMerged(to: folder + "/merged", layout: .hub, backend: backend) }
    XCTAssertEqual(fault.kind, .usage)
    XCTAssertTrue(fault.what.contains("what prefix adds to the language part is no change of its weights"), "\(fault)")
    XCTAssertFalse(FileManager.default.fileExists(atPath: folder + "/merged"))
  }

  /// A sequence reads the virtual tokens and itself, whatever stands beside it in the batch.
  func testNothingLeaksBetweenSequences() throws {
    let backend = try CPUBackend(threads: 2)
    for method in [PromptTuning(tokens: 3), PrefixTuning(tokens: 3)] as [any TuningMethod] {
      for golden in ["gpt2", "llava-clip-llama"] {
        let model = try adapted(golden, [.language: method], backend).model
        func hidden(_ texts: [[Int32]]) -> [Float] {
          backend.read(
            model.hidden(
              TokenBatch(
                ids: backend.tensor(texts.flatMap { $0 }),
                positions: backend.tensor(texts.flatMap { $0.indices.map(Int32.init) }),
                positionLimit: texts.map(\.count).max() ?? 0, sequences: Sequences(lengths: texts.map(\.count))),
              imageRows: nil, pictures: nil, Context(backend)))
        }
        let texts: [[Int32]] = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
        let alone = texts.flatMap { hidden([$0]) }
        XCTAssertLessThan(relativeDistance(hidden(texts), alone), 1e-6)
        XCTAssertEqual(alone.count, 9 * model.language.width)
      }
    }
  }
}

extension LoRASettings {
  fileprivate var everywhere: LoRASettings { LoRASettings(rank: 2, alpha: 4, dropout: 0, targets: .allLinear) }
}
