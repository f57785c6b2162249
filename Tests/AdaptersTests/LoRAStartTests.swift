import Foundation
import Ground
import Models
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Adapters

/// What updates start from, and how they get into weights and out of them.
final class LoRAStartTests: FolderTests {
  private func adapted(
    _ golden: String, _ targets: Targets, rank: Int = 4, _ backend: any Backend,
    _ change: (inout LoRASettings) -> Void
  ) throws -> AdaptedModel {
    var settings = LoRASettings(rank: rank, alpha: Double(2 * rank), dropout: 0, targets: targets)
    change(&settings)
    let adapted = try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: [.language: .lora(settings)])
    try adapted.loadWeights(adapter: nil, seed: 3, precision: .float32, backend: backend)
    return adapted
  }

  /// W as the model's files have it.
  private func weights(_ golden: String, _ backend: any Backend) throws -> [String: Tensor] {
    let folder = try ModelFolder(Golden(golden).modelFolder)
    let model = try folder.makeModel()
    try folder.loadWeights(into: model, backend: backend, isFresh: { _ in false })
    return Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0.value) })
  }

  private func product(_ down: Tensor, _ up: Tensor, _ scale: Float, _ backend: any Backend) -> [Float] {
    backend.read(backend.product(Factor(up), Factor(down), scale: scale))
  }

  /// s B A and W − s B A against those of torch.linalg.svd and torch.linalg.qr, which PEFT starts from.
  func testPrincipalPartsAndQRAreThoseOfPEFT() throws {
    let backend = try CPUBackend(threads: 2)
    for (name, golden, targets, rank, start) in [
      ("gpt2-pissa", "gpt2", .names(["c_attn", "c_fc"]), 4, .pissa(iterations: nil)),
      ("olora", "llava-clip-llama", .pattern(#".*layers\.0.*\.(q_proj|down_proj)"#), 3, .olora),
    ] as [(String, String, Targets, Int, LoRAStart)] {
      let file = try SafeTensorsFile(Golden.fixtures + "/lora-family/\(name)/initial.safetensors")
      let before = try weights(golden, backend)
      let model = try adapted(golden, targets, rank: rank, backend) { $0.start = start }
      XCTAssertEqual(model.lowRankLayers.count * 2, file.entries.count)
      for layer in model.lowRankLayers {
        let key = "base_model.model." + layer.base.path
        let down = backend.tensor(try file.floats(key + ".lora_A.weight"), layer.down.shape)
        let up = backend.tensor(try file.floats(key + ".lora_B.weight"), layer.up.shape)
        let (own, wanted) = (
          product(layer.down.value, layer.up.value, layer.scale, backend), product(down, up, layer.scale, backend)
        )
        XCTAssertLessThan(relativeDistance(own, wanted), 2e-5, key)
        let merged = backend.read(layer.merged(backend))
        let weight = backend.read(try XCTUnwrap(before[layer.base.weight.name]))
        XCTAssertLessThan(relativeDistance(merged, weight), 1e-6, "\(key): the sum is the weight")
        XCTAssertGreaterThan(relativeDistance(backend.read(layer.base.weight.value), weight), 0.1, key)
      }
    }
  }

  func testSingularValues() throws {
    let backend = try CPUBackend(threads: 2)
    for (rows, columns, count) in [(150, 90, 6), (90, 150, 6), (20, 20, 20), (33, 7, 7)] {
      let stream = RandomStream([5])
      let matrix = backend.tensor((0..<rows * columns).map { Float(stream.normal(at: $0)) }, [rows, columns])
      let gram = backend.read(backend.product(Factor(matrix, transposed: true), Factor(matrix))).map(Double.init)
      let wanted = symmetricEigen(gram, size: columns).values.sorted(by: >).prefix(count).map {
        max($0, 0).squareRoot()
      }
      let parts = PrincipalParts(of: matrix, count: count, iterations: nil, RandomStream([1]), backend)
      for (own, want) in zip(parts.values, wanted) { XCTAssertEqual(own, want, accuracy: 1e-4 * wanted[0]) }
      for side in [parts.left, parts.right] {
        let squares = backend.read(backend.product(Factor(side, transposed: true), Factor(side)))
        for (place, value) in squares.enumerated() {
          XCTAssertEqual(value, place / count == place % count ? 1 : 0, accuracy: 1e-4)
        }
      }
      // Few iterations come near: the part that they find holds almost as much.
      let rough = PrincipalParts(of: matrix, count: count, iterations: 4, RandomStream([1]), backend)
      let (found, best) = (rough.values.reduce(0) { $0 + $1 * $1 }, wanted.reduce(0) { $0 + $1 * $1 })
      XCTAssertEqual(found, best, accuracy: 0.05 * best)
    }
  }

  /// A matrix of rank 1, and one of zeros: what is not there is zero, and no number is lost.
  func testMatricesOfSmallRank() throws {
    let backend = try CPUBackend(threads: 1)
    let row = (0..<30).map { Float($0 % 7) - 3 }
    let thin = backend.tensor((0..<40).flatMap { outer in row.map { $0 * Float(outer % 5) } }, [40, 30])
    for (matrix, rank) in [(thin, 1), (backend.zeros([40, 30]), 0)] {
      let parts = PrincipalParts(of: matrix, count: 3, iterations: nil, RandomStream([1]), backend)
      let (down, up) = parts.factors(scale: 2, backend)
      let whole = backend.read(backend.product(Factor(up), Factor(down), scale: 2))
      XCTAssertTrue(whole.allSatisfy(\.isFinite))
      XCTAssertLessThan(relativeDistance(whole.map { $0 + 1 }, backend.read(matrix).map { $0 + 1 }), 1e-4)
      XCTAssertEqual(parts.values.filter { $0 > 1e-3 }.count, rank)
    }
  }

  func testGaussian() throws {
    let backend = try CPUBackend(threads: 1)
    let model = try adapted("gpt2", .allLinear, rank: 8, backend) { $0.start = .gaussian }
    for layer in model.lowRankLayers {
      let values = backend.read(layer.down.value).map(Double.init)
      let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
      XCTAssertEqual(variance, 1.0 / 64, accuracy: 5 * (2 / Double(values.count)).squareRoot() / 64)
      XCTAssertEqual(values.reduce(0, +) / Double(values.count), 0, accuracy: 5 / 8 / Double(values.count).squareRoot())
      XCTAssertTrue(backend.read(layer.up.value).allSatisfy { $0 == 0 })
    }
  }

  func testDoRAStartsFromTheLengthsOfTheRows() throws {
    let backend = try CPUBackend(threads: 1)
    for golden in ["gpt2", "llava-clip-llama"] {
      let model = try adapted(golden, .allLinear, backend) { $0.hasMagnitudes = true }
      for layer in model.lowRankLayers {
        let weight = backend.read(layer.base.weight.value)
        let (merged, magnitudes) = (
          backend.read(layer.merged(backend)), backend.read(try XCTUnwrap(layer.magnitude).value)
        )
        XCTAssertLessThan(relativeDistance(merged, weight), 1e-6, layer.base.path)
        XCTAssertEqual(magnitudes.count, layer.base.outputs)
        let whole = magnitudes.reduce(0) { $0 + Double($1) * Double($1) }
        XCTAssertEqual(whole, weight.reduce(0) { $0 + Double($1) * Double($1) }, accuracy: 1e-5 * whole)
      }
    }
  }

  // MARK: Out of the weights again

  private func disturb(_ adapted: AdaptedModel, _ backend: any Backend) {
    for parameter in adapted.trainable {
      let stream = RandomStream([77]).named(parameter.name)
      let noise = (0..<parameter.count).map { Float(stream.uniform(at: $0) - 0.5) * 0.2 }
      parameter.value = backend.add(parameter.value, backend.tensor(noise, parameter.shape))
    }
  }

  func testUnmergedIsTheBaseModel() throws {
    let backend = try CPUBackend(threads: 2)
    for (golden, layouts) in [("gpt2", [.hub]), ("llava-clip-llama", [.hub, .llava])]
      as [(String, [AdaptedModel.Layout])]
    {
      let first = try adapted(golden, .allLinear, backend) {
        $0.isRankStabilised = true
        $0.rankPattern = PatternTable([.init(golden == "gpt2" ? "c_fc" : "q_proj", 7)])
      }
      disturb(first, backend)
      for layout in layouts {
        let (merged, adapter, unmerged) = (folder + "/m-\(golden)", folder + "/a-\(golden)", folder + "/u-\(golden)")
        try first.exportMerged(to: merged, layout: .hub, backend: backend)
        try first.saveAdapter(to: adapter, backend: backend)
        let methods = try AdaptedModel.methods(ofAdapter: adapter, for: ModelFolder(merged))
        let second = try AdaptedModel(ModelFolder(merged), methods: methods)
        try second.loadWeights(adapter: adapter, seed: 0, precision: .float32, backend: backend)
        try second.exportUnmerged(to: unmerged, layout: layout, backend: backend)
        let again = try ModelFolder(unmerged).makeModel()
        try ModelFolder(unmerged).loadWeights(into: again, backend: backend, isFresh: { _ in false })
        let before = try weights(golden, backend)
        for parameter in again.parameters {
          let wanted = backend.read(try XCTUnwrap(before[parameter.name]))
          XCTAssertLessThan(relativeDistance(backend.read(parameter.value), wanted), 1e-6, parameter.name)
        }
      }
    }
  }

  func testWhatCannotBeTakenOutIsRefused() throws {
    let backend = try CPUBackend(threads: 1)
    for (change, words) in [
      ({ $0.hasMagnitudes = true }, "lengths of the former rows"),
      ({ $0.modulesToSave = ["lm_head"] }, "replaced 'lm_head.weight'"),
    ] as [((inout LoRASettings) -> Void, String)] {
      let model = try adapted("llava-clip-llama", .names(["q_proj"]), backend, change)
      let fault = try fault { try model.exportUnmerged(to: folder + "/u", layout: .hub, backend: backend) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.what.contains(words), "\(fault)")
      XCTAssertFalse(FileManager.default.fileExists(atPath: folder + "/u"))
    }
  }

  // MARK: What makes no sense

  func testSettingsThatMakeNoSense() throws {
    let backend = try CPUBackend(threads: 1)
    let clip = "llava-clip-llama"
    for (golden, change, key, words) in [
      (clip, { $0.excluded = .names(["q_porj"]) }, "exclude", "did you mean 'q_proj'?"),
      (clip, { $0.layers = LayerSet([2, 3]) }, "layers", "there is no layer 3"),
      (clip, { $0.rankPattern = PatternTable([.init("fc1", 2)]) }, "rank_pattern", "pattern 'fc1' matches no"),
      (clip, { $0.alphaPattern = PatternTable([.init("v_porj", 2)]) }, "alpha_pattern", "did you mean 'v_proj'?"),
      (clip, { $0.modulesToSave = ["embed_token"] }, "modules_to_save", "did you mean 'embed_tokens'?"),
      ("gpt2", { $0.modulesToSave = ["wte"] }, "modules_to_save", "shares its weight"),
      ("gpt2", { $0.modulesToSave = ["lm_head"] }, "modules_to_save", "lm_head"),
      (
        clip,
        {
          $0.start = .olora
          $0.rank = 49
        }, "init", "rank 49 is more than"
      ),
      (
        clip,
        {
          $0.targets = .names(["lm_head"])
          $0.hasMagnitudes = true
        }, "targets", "which DoRA cannot wrap"
      ),
    ] as [(String, (inout LoRASettings) -> Void, String, String)] {
      let fault = try fault(key) { try adapted(golden, .allLinear, backend, change) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertEqual(fault.place, "train.parts.language.\(key)")
      XCTAssertTrue(fault.what.contains(words), "\(fault)")
    }
    let broken = try fault { try adapted(clip, .allLinear, backend) { $0.rankPattern = PatternTable([.init("(", 2)]) } }
    XCTAssertTrue(broken.what.contains("\"(\" is not a regular expression"), "\(broken)")
  }
}
