import Foundation
import Ground
import Models
import SafeTensors
import Tensors
import TestSupport
import XCTest

/// Weights that do not fit their model are refused by name.
final class ModelFolderTests: FolderTests {
  private let configuration: JSON = [
    "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
    "num_attention_heads": 2, "vocab_size": 10,
  ]

  /// A folder whose weights are right but for what `change` does to them.
  private func makeFolder(
    _ configuration: JSON? = nil, _ change: (inout [StoredTensor]) -> Void = { _ in }
  ) throws -> ModelFolder {
    let configuration = configuration ?? self.configuration
    try place(configuration.indented, "model/config.json")
    let model = try MultimodalModel(configuration: configuration, at: "config.json")
    var tensors = model.parameters.map { StoredTensor($0.name, $0.shape) }
    change(&tensors)
    try writeStored(tensors, to: folder + "/model/model.safetensors")
    return try ModelFolder(folder + "/model")
  }

  @discardableResult
  private func load(_ folder: ModelFolder, _ precision: DType = .float32) throws -> [String: [Float]] {
    let (model, backend) = (try folder.makeModel(), try CPUBackend(threads: 1))
    try folder.loadWeights(into: model, backend: backend, precision: precision, isFresh: { _ in false })
    return Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, backend.read($0.value)) })
  }

  private func refuses(
    _ words: [String], line: UInt = #line, _ change: (inout [StoredTensor]) -> Void
  ) throws {
    let folder = try makeFolder(nil, change)
    let fault = try fault(line: line) { try load(folder) }
    XCTAssertEqual(fault.kind, .badData, line: line)
    XCTAssertTrue(fault.place?.hasPrefix(self.folder) ?? false, line: line)
    for word in words { XCTAssertTrue(fault.what.contains(word), "\(fault)", line: line) }
  }

  private static func index(_ tensors: [StoredTensor], _ name: String) -> Int {
    tensors.firstIndex { $0.name == name } ?? -1
  }
  private let query = "model.layers.0.self_attn.q_proj.weight"

  func testTheUnchangedFolderLoadsTheWrittenNumbers() throws {
    let values = try load(makeFolder())
    XCTAssertEqual(values.count, 12)
    for (name, found) in values {
      let wanted = StoredTensor(name, [found.count]).bytes
      XCTAssertEqual(found.withUnsafeBytes(Array.init), wanted, name)
    }
  }

  func testAMissingWeight() throws {
    try refuses(["the weights lack '\(query)'"]) { $0.remove(at: ModelFolderTests.index($0, self.query)) }
    try refuses(["the weights lack 'model.layers.0.input_layernorm.weight' and 8 more"]) {
      $0.removeAll { $0.name.contains("layers.0") }
    }
  }

  func testAMisspeltWeightIsMissingAndTheNearestNameIsTold() throws {
    try refuses(["lack '\(query)'", "did you mean 'model.layers.0.self_attn.q_porj.weight'?"]) {
      $0[ModelFolderTests.index($0, self.query)].name = "model.layers.0.self_attn.q_porj.weight"
    }
  }

  func testASurplusWeight() throws {
    try refuses([
      "no place for the weight 'model.layers.0.self_attn.q_proj.bias'",
      "did you mean 'model.layers.0.self_attn.q_proj.weight'?",
    ]) { $0.append(StoredTensor("model.layers.0.self_attn.q_proj.bias", [8])) }
    try refuses(["no place", "'model.layers.1.mlp.up_proj.weight' and 1 more"]) {
      $0.append(StoredTensor("model.layers.1.mlp.up_proj.weight", [12, 8]))
      $0.append(StoredTensor("model.layers.1.mlp.down_proj.weight", [8, 12]))
    }
  }

  func testWrongShapes() throws {
    try refuses(["'\(query)' has shape [8, 9] where the configuration asks for [8, 8]"]) {
      $0[ModelFolderTests.index($0, self.query)] = StoredTensor(self.query, [8, 9])
    }
    // As many numbers, another shape.
    try refuses(["'model.norm.weight' has shape [2, 4]", "[8]"]) {
      $0[ModelFolderTests.index($0, "model.norm.weight")] = StoredTensor("model.norm.weight", [2, 4])
    }
  }

  func testWrongTypes() throws {
    for dtype in [DType.int64, .int32, .float64, .bool, .uint8] {
      try refuses(["weight 'model.norm.weight' is \(dtype.rawValue)"]) {
        $0[ModelFolderTests.index($0, "model.norm.weight")] = StoredTensor(
          "model.norm.weight", dtype, [8], [UInt8](repeating: 0, count: 8 * dtype.size))
      }
    }
  }

  func testTheSameWeightTwice() throws {
    try refuses(["'\(query)'", "'layers.0.self_attn.q_proj.weight'", "are the same weight"]) {
      $0.append(StoredTensor("layers.0.self_attn.q_proj.weight", [8, 8]))
    }
  }

  func testABaseModelSavedWithoutItsHeadLacksIt() throws {
    try refuses(["the weights lack 'lm_head.weight'"]) {
      $0.removeAll { $0.name == "lm_head.weight" }
      for index in $0.indices { $0[index].name = $0[index].name.replacingOccurrences(of: "model.", with: "") }
    }
  }

  func testATiedHeadMayStandInTheFileWhereItIsTheEmbedding() throws {
    let tied = configuration.with("tie_word_embeddings", true)
    let without = try load(makeFolder(tied))
    XCTAssertEqual(without.count, 11)
    let with = try load(
      makeFolder(tied) { tensors in
        var head = tensors[ModelFolderTests.index(tensors, "model.embed_tokens.weight")]
        head.name = "lm_head.weight"
        tensors.append(head)
      })
    XCTAssertEqual(with, without)
    let other = try makeFolder(tied) { $0.append(StoredTensor("lm_head.weight", [10, 8], seed: 9)) }
    let fault = try fault { try load(other) }
    XCTAssertEqual(fault.kind, .badData)
    XCTAssertTrue(fault.what.contains("'lm_head.weight' is not 'model.embed_tokens.weight'"), "\(fault)")
    // A tied model saved as a bare base model is whole.
    let bare = try load(
      makeFolder(tied) { tensors in
        for index in tensors.indices {
          // The values follow from the name they were made with, which stays.
          tensors[index].name = tensors[index].name.replacingOccurrences(of: "model.", with: "")
        }
      })
    XCTAssertEqual(bare, without)
  }

  func testBuffersAreLeftOut() throws {
    let plain = try load(makeFolder())
    let withBuffer = try load(
      makeFolder { $0.append(StoredTensor("model.layers.0.self_attn.rotary_emb.inv_freq", [2])) })
    XCTAssertEqual(withBuffer, plain)
  }

  func testFrozenMatricesHaveTheWantedPrecisionAndTrainedOnesF32() throws {
    let folder = try makeFolder()
    let (model, backend) = (try folder.makeModel(), try CPUBackend(threads: 1))
    for parameter in model.parameters where parameter.name == query { parameter.isTrainable = true }
    try folder.loadWeights(into: model, backend: backend, precision: .bfloat16, isFresh: { _ in false })
    for parameter in model.parameters {
      let isNarrow = parameter.shape.count > 1 && parameter.name != query
      XCTAssertEqual(parameter.value.dtype, isNarrow ? .bfloat16 : .float32, parameter.name)
    }
  }

  /// Training changes its own copy, never the file.
  func testATrainedWeightIsACopy() throws {
    let folder = try makeFolder()
    let (model, backend) = (try folder.makeModel(), try CPUBackend(threads: 1))
    for parameter in model.parameters { parameter.isTrainable = true }
    try folder.loadWeights(into: model, backend: backend, isFresh: { _ in false })
    let before = try load(folder)
    for parameter in model.parameters {
      let zeros = [UInt8](repeating: 0, count: parameter.value.byteCount)
      zeros.withUnsafeBytes { backend.overwrite(parameter.value, with: $0) }
    }
    XCTAssertEqual(try load(folder), before)
  }

  func testFoldersThatAreNone() throws {
    XCTAssertEqual(try fault { try ModelFolder(folder + "/nowhere") }.kind, .missingInput)
    try place("{", "broken/config.json")
    XCTAssertEqual(try fault { try ModelFolder(folder + "/broken") }.kind, .badData)
    try place(configuration.description, "weightless/config.json")
    let weightless = try ModelFolder(folder + "/weightless")
    let fault = try fault { try load(weightless) }
    XCTAssertEqual(fault.kind, .missingInput)
    XCTAssertTrue(fault.what.contains("no model.safetensors"), "\(fault)")
  }
}
