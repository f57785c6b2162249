import Foundation
import Ground
import Models
import Tensors
import TestSupport
import XCTest

@testable import Adapters

/// Fresh updates and the line that counts them.
final class LoRATests: FolderTests {
  private func adapted(
    _ golden: String, _ targets: Targets, seed: UInt64 = 3, _ backend: any Backend
  ) throws -> AdaptedModel {
    let settings = LoRASettings(rank: 4, alpha: 8, dropout: 0, targets: targets)
    let adapted = try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: [.language: .lora(settings)])
    try adapted.loadWeights(adapter: nil, seed: seed, precision: .float32, backend: backend)
    return adapted
  }

  private func downs(_ adapted: AdaptedModel, _ backend: any Backend) -> [String: [Float]] {
    Dictionary(uniqueKeysWithValues: adapted.lowRankLayers.map { ($0.down.name, backend.read($0.down.value)) })
  }

  /// PEFT's Kaiming-uniform with a = √5 is the uniform distribution with the bound 1/√inputs.
  func testAIsUniformAndBZero() throws {
    let backend = try CPUBackend(threads: 1)
    for golden in ["llava-clip-llama", "gpt2"] {
      let layers = try adapted(golden, .allLinear, backend).lowRankLayers
      XCTAssertGreaterThan(layers.count, 7)
      for layer in layers {
        XCTAssertEqual(layer.down.shape, [4, layer.base.inputs])
        XCTAssertEqual(layer.up.shape, [layer.base.outputs, 4])
        XCTAssertEqual(layer.scale, 2)
        let (a, bound) = (backend.read(layer.down.value), 1 / Float(layer.base.inputs).squareRoot())
        let (count, largest) = (Double(a.count), a.map(abs).max() ?? 0)
        XCTAssertLessThanOrEqual(largest, bound, layer.down.name)
        XCTAssertGreaterThan(largest, 0.9 * bound, layer.down.name)
        // Mean and variance within five standard errors: bound/√3n, and bound²·√(4/45n) around bound²/3.
        let mean = a.reduce(0) { $0 + Double($1) } / count
        let variance = a.reduce(0) { $0 + Double($1) * Double($1) } / count
        let size = Double(bound)
        XCTAssertEqual(mean, 0, accuracy: 5 * size / (3 * count).squareRoot(), layer.down.name)
        XCTAssertEqual(
          variance, size * size / 3, accuracy: 5 * size * size * (4 / (45 * count)).squareRoot(), layer.down.name)
        XCTAssertTrue(backend.read(layer.up.value).allSatisfy { $0 == 0 }, layer.up.name)
      }
    }
  }

  /// What does not change between updates is not computed for every token.
  func testLengthsOfRowsAreFoundOnceForEachUpdate() throws {
    let profile = Profile(limit: 1000)
    profile.isRecording = true
    let backend = ProfiledBackend(try CPUBackend(threads: 1), profile)
    var settings = LoRASettings(rank: 4, alpha: 8, dropout: 0, targets: .names(["q_proj"]))
    settings.hasMagnitudes = true
    let adapted = try AdaptedModel(
      ModelFolder(Golden("llava-clip-llama").modelFolder), methods: [.language: .lora(settings)])
    try adapted.loadWeights(adapter: nil, seed: 3, precision: .float32, backend: backend)
    let layer = try XCTUnwrap(adapted.lowRankLayers.first)
    let x = backend.tensor((0..<3 * layer.base.inputs).map { Float($0 % 7) }, [3, layer.base.inputs])

    func output() -> (values: [Float], searches: Int) {
      _ = profile.take()
      let y = Context(backend).linear(x, layer.projection(Context(backend)))
      return (backend.read(y), profile.take().spans.filter { $0.name == "outputNorms" }.count)
    }
    let first = output()
    let again = output()
    XCTAssertEqual([first.searches, again.searches], [1, 0])
    XCTAssertEqual(again.values, first.values)
    let up = (0..<layer.up.count).map { Float($0 % 5) / 10 }
    up.withUnsafeBytes { backend.overwrite(layer.up.value, with: $0) }
    layer.up.valueChanged()
    let updated = output()
    XCTAssertEqual(updated.searches, 1)
    // Not what the old lengths would make of it.
    XCTAssertNotEqual(updated.values, first.values)
    layer.up.value = backend.tensor(up, layer.up.shape)
    let given = output()
    XCTAssertEqual(given.searches, 1)
    XCTAssertEqual(given.values, updated.values)
  }

  func testTheSeedAndTheNameDecideEveryNumber() throws {
    let backend = try CPUBackend(threads: 1)
    let first = downs(try adapted("llava-clip-llama", .allLinear, backend), backend)
    XCTAssertEqual(downs(try adapted("llava-clip-llama", .allLinear, backend), backend), first)
    let other = downs(try adapted("llava-clip-llama", .allLinear, seed: 4, backend), backend)
    for (name, values) in first { XCTAssertNotEqual(other[name], values, name) }
    XCTAssertEqual(Set(first.values.map { $0[0] }).count, first.count, "no two layers begin with the same number")
    // A layer starts the same whichever others are wrapped.
    for (name, values) in downs(try adapted("llava-clip-llama", .names(["v_proj"]), backend), backend) {
      XCTAssertEqual(first[name], values, name)
    }
  }

  /// The published figure of PEFT's documentation for GPT-2 with r = 8 on `c_attn`.
  func testTheParameterLineOfGPT2() throws {
    try place(#"{"model_type": "gpt2"}"#, "gpt2/config.json")
    let settings = LoRASettings(rank: 8, alpha: 16, dropout: 0.05, targets: .names(["c_attn"]))
    let adapted = try AdaptedModel(ModelFolder(folder + "/gpt2"), methods: [.language: .lora(settings)])
    XCTAssertEqual(
      adapted.parameterLine, "trainable params: 294,912 || all params: 124,734,720 || trainable%: 0.2364")
  }

  func testParameterLinesAgreeWithPEFT() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "gpt2"] {
      let golden = try Golden(name)
      let trained = try XCTUnwrap(golden.json["lora"]?["trainable_parameters"]?.integer)
      let all = try XCTUnwrap(golden.json["lora"]?["all_parameters"]?.integer)
      let folder = try ModelFolder(golden.modelFolder)
      var methods = try AdaptedModel.methods(ofAdapter: golden.folder + "/adapter_init", for: folder)
      let parts = golden.json["lora"]?["setting"]?["parts"]
      for part in ModelPart.allCases where parts?[part.rawValue]?["train"] == "full" { methods[part] = .full }
      let line = try AdaptedModel(folder, methods: methods).parameterLine
      XCTAssertTrue(line.hasPrefix("trainable params: \(grouped(trained)) || all params: \(grouped(all)) ||"), line)
    }
  }

  func testNothingTrainedIsZeroPercent() throws {
    let folder = try ModelFolder(Golden("gpt2").modelFolder)
    let line = try AdaptedModel(folder, methods: [:]).parameterLine
    XCTAssertTrue(line.hasPrefix("trainable params: 0 || "), line)
    XCTAssertTrue(line.hasSuffix("trainable%: 0.0000"), line)
    let whole = try AdaptedModel(folder, methods: [.language: .full]).parameterLine
    XCTAssertTrue(whole.hasSuffix("trainable%: 100.0000"), whole)
  }

  func testGroupedNumbers() {
    let numbers = [0, 7, 999, 1000, 1_234_567, -1000, -12, .min]
    XCTAssertEqual(
      numbers.map(grouped), ["0", "7", "999", "1,000", "1,234,567", "-1,000", "-12", "-9,223,372,036,854,775,808"])
  }
}
