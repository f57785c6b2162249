import Ground
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Training

/// The rules against torch, transformers and bitsandbytes, tensor by tensor; `Tests/Goldens/make_optimizers.py` made
/// the figures and says how.
final class OptimizerTests: XCTestCase {
  private static let folder = Golden.fixtures + "/optimizers"
  private static let shapes = [("matrix", [66, 70]), ("vector", [40]), ("patches", [6, 3, 4, 5])]
  /// The run file's keys of each rule, and its rate in step 1.
  private static let rules: [(name: String, keys: String, rate: Double)] = [
    ("adamw", "{name: adamw, betas: [0.9, 0.99]}", 1e-2),
    ("adamw8bit", "{name: adamw8bit, betas: [0.9, 0.99]}", 1e-2),
    ("adafactor", "{name: adafactor}", 1e-2),
    (
      "adafactor_scaled",
      "{name: adafactor, scale_parameter: true, momentum: 0.9, clip_threshold: 0.5, decay_rate: -0.7}", 1e-1
    ),
    ("sgd", "{name: sgd}", 0.5), ("sgd_momentum", "{name: sgd, momentum: 0.9}", 0.1),
    ("sgd_nesterov", "{name: sgd, momentum: 0.9, nesterov: true}", 0.1), ("lion", "{name: lion}", 1e-3),
  ]

  private func rule(_ keys: String) throws -> any OptimizerRule {
    let configuration = try RunConfiguration(parsing: "model: here\noutput: /there\ntrain: {optimizer: \(keys)}")
    return makeRule(configuration.train.optimizer)
  }

  /// Numbers in [−1, 1) by a hash of their place, over twelve powers of two.
  private func spread(_ shape: [Int], _ seed: UInt64, _ backend: any Backend) -> Tensor {
    let values = (0..<UInt64(shape.reduce(1, *))).map { place in
      var x = (place &* 2_654_435_761 &+ seed &* 40503 &+ 12345) & 0xffff_ffff
      x ^= x >> 15
      x = (x &* 2_246_822_519) & 0xffff_ffff
      x ^= x >> 13
      let noise = (Double(x >> 8) - 8_388_608) / 8_388_608
      return Float(noise / Double(1 << (place / 7 % 12)))
    }
    return backend.tensor(values, shape)
  }

  /// Twelve updates as the reference did them.
  private func train(_ keys: String, rate: Double, threads: Int) throws -> Optimizer {
    let backend = try CPUBackend(threads: threads)
    let parameters = OptimizerTests.shapes.enumerated().map { number, entry in
      // Weight decay leaves biases alone, and nothing else here.
      let parameter = Parameter(name: entry.0 == "vector" ? "vector.bias" : entry.0, shape: entry.1)
      parameter.value = spread(entry.1, UInt64(number), backend)
      return parameter
    }
    let optimizer = Optimizer(parameters, try rule(keys), backend)
    for step in 1...12 {
      let missing = step == 5 ? [0] : step == 6 || step == 7 ? [1] : []
      let gradients = parameters.enumerated().map { number, parameter in
        missing.contains(number) ? nil : spread(parameter.shape, UInt64(100 * step + number), backend)
      }
      optimizer.update(
        gradients: gradients, gradientScale: 0.5, rate: { _ in rate / Double(step) }, decay: { _ in 0.1 })
    }
    XCTAssertEqual(optimizer.states.map(\.updates), [11, 10, 12])
    return optimizer
  }

  func testTwelveUpdatesOfEveryRule() throws {
    let backend = try CPUBackend(threads: 1)
    let golden = try SafeTensorsFile(OptimizerTests.folder + "/updates.safetensors")
    for (name, keys, rate) in OptimizerTests.rules {
      let optimizer = try train(keys, rate: rate, threads: 1)
      for (state, shape) in zip(optimizer.states, OptimizerTests.shapes) {
        let found = backend.read(state.parameter.value)
        let distance = relativeDistance(found, try golden.floats("\(name).\(shape.0)"))
        // A code that falls to the other side of a boundary by rounding moves a weight by more than rounding does.
        XCTAssertLessThan(distance, name == "adamw8bit" && shape.0 == "matrix" ? 2e-5 : 5e-7, "\(name) \(shape.0)")
      }
    }
  }

  func testMomentsInEightBits() throws {
    let (_, keys, rate) = OptimizerTests.rules[1]
    let golden = try SafeTensorsFile(OptimizerTests.folder + "/updates.safetensors")
    let backend = try CPUBackend(threads: 1)
    let states = try train(keys, rate: rate, threads: 1).states
    XCTAssertEqual(states[0].tensors.map(\.name), ["first", "first_scale", "second", "second_scale"])
    XCTAssertEqual(states[0].tensors.map(\.value.dtype), [.uint8, .float32, .uint8, .float32])
    XCTAssertEqual(states[1].tensors.map(\.value.dtype), [.float32, .float32], "small tensors keep F32")
    for (own, codes, scales) in [(0, "state1", "absmax1"), (2, "state2", "absmax2")] {
      let found = backend.withBytes(of: states[0].tensors[own].value) { Array($0) }
      let wanted = Array(try golden.bytes(of: "adamw8bit.\(codes)"))
      let steps = zip(found, wanted).map { abs(Int($0) - Int($1)) }
      XCTAssertEqual(steps.count, 66 * 70)
      XCTAssertLessThanOrEqual(steps.max() ?? 9, 1, codes)
      XCTAssertLessThan(steps.count { $0 > 0 }, 10, codes)
      XCTAssertLessThan(
        relativeDistance(backend.read(states[0].tensors[own + 1].value), try golden.floats("adamw8bit.\(scales)")), 1e-6
      )
    }
  }

  func testTheSameBitsOnAnyNumberOfThreads() throws {
    let backend = try CPUBackend(threads: 1)
    let shapes = [[300, 517], [3, 5, 40, 70], [70_001]]
    for (name, keys, _) in OptimizerTests.rules {
      let outcomes = try [1, 2, 3].map { threads -> [[UInt8]] in
        let device = try CPUBackend(threads: threads)
        let parameters = shapes.enumerated().map { number, shape in
          let parameter = Parameter(name: "\(number)", shape: shape)
          parameter.value = spread(shape, UInt64(number), device)
          return parameter
        }
        let optimizer = Optimizer(parameters, try rule(keys), device)
        for step in 1...2 {
          optimizer.update(
            gradients: shapes.indices.map { spread(shapes[$0], UInt64(step * 10 + $0), device) }, gradientScale: 2,
            rate: { _ in 1e-2 }, decay: { _ in 0.1 })
        }
        return optimizer.states.flatMap { state in
          ([state.parameter.value] + state.tensors.map(\.value)).map { backend.withBytes(of: $0) { Array($0) } }
        }
      }
      XCTAssertEqual(outcomes[0], outcomes[1], name)
      XCTAssertEqual(outcomes[0], outcomes[2], name)
    }
  }

  /// What is no number spreads into the weights, where the loss shows it, and breaks nothing.
  func testGradientsThatAreNoNumbers() throws {
    for bad in [Float.nan, .infinity, -.infinity] {
      for (name, keys, _) in OptimizerTests.rules {
        let backend = try CPUBackend(threads: 1)
        let parameter = Parameter(name: "weight", shape: [64, 65])
        parameter.value = spread([64, 65], 1, backend)
        var values = backend.read(spread([64, 65], 2, backend))
        values[1000] = bad
        let optimizer = Optimizer([parameter], try rule(keys), backend)
        for _ in 0..<2 {
          optimizer.update(
            gradients: [backend.tensor(values, [64, 65])], gradientScale: 1, rate: { _ in 1e-2 }, decay: { _ in 0.1 })
        }
        if bad.isNaN { XCTAssertTrue(backend.read(parameter.value).contains { $0.isNaN }, name) }
      }
    }
  }

  func testEveryRuleIsMadeAndSaysWhatItKeeps() throws {
    let bytes: [OptimizerConfiguration.Name: String] = [
      .adamw: "adamw keeps 0.50 MiB, 8.00 bytes a trained weight",
      .adamw8bit: "adamw8bit keeps 0.13 MiB, 2.03 bytes a trained weight",
      .adafactor: "adafactor keeps 0.00 MiB, 0.03 bytes a trained weight",
      .sgd: "sgd keeps 0.00 MiB, 0.00 bytes a trained weight",
      .lion: "lion keeps 0.25 MiB, 4.00 bytes a trained weight",
    ]
    let backend = try CPUBackend(threads: 1)
    for name in OptimizerConfiguration.Name.allCases {
      let rule = try rule("{name: \(name.rawValue)}")
      XCTAssertEqual(rule.name, name)
      let parameter = Parameter(name: "weight", shape: [256, 256])
      XCTAssertEqual(Optimizer([parameter], rule, backend).summary, bytes[name])
    }
  }

  // MARK: Rates and averages

  func testRatesByLayer() {
    let names = [
      "model.vision_tower.embeddings.patch_embedding.weight", "model.vision_tower.encoder.layers.0.mlp.fc1.weight",
      "model.vision_tower.encoder.layers.2.mlp.fc1.weight", "model.vision_tower.post_layernorm.weight",
      "model.vision_tower.pre_layrnorm.weight", "model.multi_modal_projector.linear_1.weight",
      "model.language_model.embed_tokens.weight", "model.language_model.layers.0.mlp.up_proj.weight",
      "model.language_model.layers.1.self_attn.q_proj.lora_A.weight", "model.language_model.norm.weight",
      "lm_head.weight",
    ]
    let backbone = names.map { Parameter(name: $0, shape: [1]) }
    let factors = RateFactors(backbone, layerDecay: 0.5)
    let wanted = [0.0625, 0.125, 0.5, 1, 0.0625, 1, 0.125, 0.25, 0.5, 1, 1]
    XCTAssertEqual(backbone.map { factors($0) }, wanted)
    let gpt2 = [
      "transformer.wte.weight", "transformer.wpe.weight", "transformer.h.0.ln_1.bias", "transformer.ln_f.bias",
    ]
    let text = gpt2.map { Parameter(name: $0, shape: [1]) }
    let one = RateFactors(text, layerDecay: 0.5)
    XCTAssertEqual(text.map { one($0) }, [0.25, 0.25, 0.5, 1])
    XCTAssertEqual(backbone.map { RateFactors(backbone, layerDecay: nil)($0) }, names.map { _ in 1 })
  }

  func testRatesOfLoRAPlus() {
    let layer = "model.language_model.layers.1.self_attn.q_proj."
    let parameters = [
      Parameter(name: layer + "lora_A.weight", shape: [4, 8]), Parameter(name: layer + "lora_B.weight", shape: [8, 4]),
      Parameter(name: layer + "bias", shape: [8]),
      Parameter(name: "model.vision_tower.encoder.layers.0.mlp.fc1.lora_B.weight", shape: [8, 4]),
    ]
    let factors = RateFactors(parameters, layerDecay: nil, loraPlusRatios: [.language: 16])
    XCTAssertEqual(parameters.map { factors($0) }, [1, 16, 16, 1])
    let both = RateFactors(parameters, layerDecay: 0.5, loraPlusRatios: [.language: 16])
    XCTAssertEqual(parameters.map { both($0) }, [0.5, 8, 8, 0.5])
  }

  func testAnAverageThatWarmsUp() throws {
    let settings = MovingAverage.Settings(decay: 0.999, warmsUp: true)
    XCTAssertEqual(settings.decay(step: 1), 2.0 / 11)
    XCTAssertEqual(settings.decay(step: 90), 0.91)
    XCTAssertEqual(settings.decay(step: 1_000_000), 0.999)
    let backend = try CPUBackend(threads: 1)
    let parameter = Parameter(name: "weight", shape: [2])
    parameter.value = backend.tensor([1, -2], [2])
    let average = MovingAverage([parameter], MovingAverage.Settings(decay: 0.75), backend)
    parameter.value = backend.tensor([5, 6], [2])
    average.update(step: 1)
    XCTAssertEqual(backend.read(average.averages[0].value), [2, 0])
  }
}
