import Ground
import Models
import Tensors
import TestSupport
import XCTest

/// The features of pictures: what they depend on, and what not.
final class FeatureTests: XCTestCase {
  private let names = ["llava-clip-llama", "llava-siglip-qwen2", "llava-list"]

  private func model(
    _ name: String, _ backend: any Backend, precision: DType = .float32, change: (MultimodalModel) -> Void = { _ in }
  ) throws -> MultimodalModel {
    let folder = try ModelFolder(Golden(name).modelFolder)
    let model = try folder.makeModel()
    change(model)
    try folder.loadWeights(into: model, backend: backend, precision: precision, isFresh: { _ in false })
    return model
  }

  /// Noise in place of `count` pictures, [count, 3, S, S].
  private func pictures(_ count: Int, _ size: Int, _ backend: any Backend) -> Tensor {
    let stream = RandomStream([7])
    let values = (0..<count * 3 * size * size).map { Float(stream.uniform(at: $0) * 2 - 1) }
    return backend.tensor(values, [count, 3, size, size])
  }

  func testNeighboursChangeNoBitOfConstantFeatures() throws {
    for (name, precision) in names.flatMap({ name in [DType.float32, .bfloat16].map { (name, $0) } }) {
      let backend = try CPUBackend(threads: 2)
      let eyes = try XCTUnwrap(model(name, backend, precision: precision).eyes)
      XCTAssertTrue(eyes.hasConstantFeatures)
      let all = pictures(5, eyes.imageSize, backend)
      let together = eyes.features(all, Context(backend, recording: true))
      XCTAssertEqual(together.shape, [5 * eyes.rowsPerImage, eyes.featureWidth])
      for picture in 0..<5 {
        let alone = eyes.features(all.slice(picture..<picture + 1), Context(backend))
        let rows = together.slice(picture * eyes.rowsPerImage..<(picture + 1) * eyes.rowsPerImage)
        XCTAssertEqual(backend.read(alone), backend.read(rows), "\(name), \(precision), picture \(picture)")
      }
    }
  }

  func testATrainedEncoderGivesTheSameFeaturesButForRounding() throws {
    for name in names {
      let backend = try CPUBackend(threads: 1)
      let frozen = try XCTUnwrap(model(name, backend).eyes)
      let trained = try XCTUnwrap(
        model(name, backend) { model in
          for parameter in model.parameters where MultimodalModel.part(of: parameter.name) == .vision {
            parameter.isTrainable = true
          }
        }.eyes)
      XCTAssertFalse(trained.hasConstantFeatures)
      let all = pictures(3, frozen.imageSize, backend)
      let distance = relativeDistance(
        backend.read(trained.features(all, Context(backend))), backend.read(frozen.features(all, Context(backend))))
      XCTAssertLessThan(distance, 1e-5, name)
    }
  }

  /// `default` leaves the first row out whatever it is: SigLIP, without a class token, loses its first patch.
  func testWithoutAClassTokenTheFirstPatchIsLeftOut() throws {
    let backend = try CPUBackend(threads: 1)
    let path = Golden.fixtures + "/llava-siglip-qwen2/model"
    let configuration = try JSON(contentsOf: path + "/config.json")
    func features(_ strategy: String) throws -> (rows: Int, numbers: [Float], width: Int) {
      let model = try MultimodalModel(
        configuration: configuration.with("vision_feature_select_strategy", .string(strategy)), at: "config.json")
      try ModelFolder(path).loadWeights(into: model, backend: backend, isFresh: { _ in false })
      let eyes = try XCTUnwrap(model.eyes)
      let found = eyes.features(pictures(2, eyes.imageSize, backend), Context(backend))
      return (eyes.rowsPerImage, backend.read(found), found.width)
    }
    let (full, less) = (try features("full"), try features("default"))
    XCTAssertEqual(full.rows, 16)
    XCTAssertEqual(less.rows, 15)
    let picture = 16 * full.width
    let wanted = (0..<2).flatMap { full.numbers[$0 * picture + full.width..<($0 + 1) * picture] }
    XCTAssertEqual(less.numbers, wanted)
  }

  func testWhatMakesAnotherEncoder() throws {
    let backend = try CPUBackend(threads: 1)
    let first = try XCTUnwrap(model(names[0], backend).eyes)
    let identity = first.identity(backend)
    XCTAssertEqual(try model(names[0], CPUBackend(threads: 2)).eyes?.identity(backend), identity)
    XCTAssertNotEqual(try model(names[0], backend, precision: .bfloat16).eyes?.identity(backend), identity)
    XCTAssertNotEqual(try model(names[1], backend).eyes?.identity(backend), identity)

    // One bit of any weight.
    for parameter in first.parameters {
      let value = parameter.value
      var numbers = backend.read(value)
      let last = numbers.count - 1
      numbers[last] = Float(bitPattern: numbers[last].bitPattern ^ 1)
      parameter.value = backend.tensor(numbers, value.shape)
      XCTAssertNotEqual(first.identity(backend), identity, parameter.name)
      parameter.value = value
    }
    XCTAssertEqual(first.identity(backend), identity)
    XCTAssertTrue(first.parameters.allSatisfy { MultimodalModel.part(of: $0.name) == .vision })
  }

  func testWhatElseMakesOtherFeatures() throws {
    let configuration = try JSON(contentsOf: Golden(names[0]).modelFolder + "/config.json")
    func eyes(_ path: String, _ value: JSON) throws -> MultimodalModel.Eyes {
      let changed = configuration.with(path, value)
      let model = try MultimodalModel(configuration: changed, at: "config.json")
      let backend = try CPUBackend(threads: 1)
      for parameter in model.parameters { parameter.value = backend.zeros(parameter.shape) }
      return try XCTUnwrap(model.eyes)
    }
    let backend = try CPUBackend(threads: 1)
    let identity = try eyes("vision_feature_layer", -2).identity(backend)
    XCTAssertEqual(try eyes("vision_feature_layer", -2).identity(backend), identity)
    let others: [(String, JSON)] = [
      ("vision_feature_layer", -1), ("vision_feature_layer", [-2, -1]), ("vision_feature_select_strategy", "full"),
      ("vision_config.layer_norm_eps", 0.5), ("vision_config.hidden_act", "gelu"),
      ("vision_config.num_attention_heads", 1),
    ]
    for (path, value) in others {
      XCTAssertNotEqual(try eyes(path, value).identity(backend), identity, "\(path): \(value)")
    }
    XCTAssertFalse(try eyes("vision_config.attention_dropout", 0.1).hasConstantFeatures)
  }
}
