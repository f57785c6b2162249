import Ground
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Models

/// CLIP and SigLIP against transformers: features, every gradient, configurations.
final class DualEncoderTests: FolderTests {
  private let backend = try! CPUBackend(threads: 2)

  private func load(_ name: String) throws -> (PairGolden, MultimodalModel, DualEncoder) {
    let golden = try PairGolden(name)
    let model = try golden.folder.makeModel()
    for parameter in model.parameters { parameter.isTrainable = true }
    XCTAssertEqual(try golden.folder.loadWeights(into: model, backend: backend, isFresh: { _ in false }), LoadReport())
    return (golden, model, try XCTUnwrap(model.dual))
  }

  /// A layer is trained with the part that its weights are counted in.
  func testALayerIsOfThePartOfItsWeights() throws {
    for name in PairGolden.names {
      for linear in try PairGolden(name).folder.makeModel().linears {
        XCTAssertEqual(
          MultimodalModel.part(of: linear.path), MultimodalModel.part(of: linear.weight.name), linear.path)
      }
    }
    XCTAssertEqual(MultimodalModel.part(of: "text_model.head"), .projector)
    XCTAssertEqual(MultimodalModel.part(of: "text_model.header"), .language)
  }

  func testFeatures() throws {
    for name in PairGolden.names {
      let (golden, model, dual) = try load(name)
      let context = Context(backend)
      let visual = model.visualFeatures(.pixels(try golden.pixels(backend)), context)
      let textual = model.textualFeatures(golden.batch(backend), rows: golden.rows(dual, backend), context)
      XCTAssertEqual(visual.shape, [12, dual.width])
      XCTAssertEqual(textual.shape, visual.shape)
      XCTAssertLessThan(relativeDistance(backend.read(visual), try golden.golden.floats("visual")), 2e-6, name)
      XCTAssertLessThan(relativeDistance(backend.read(textual), try golden.golden.floats("textual")), 2e-6, name)
    }
  }

  /// The gradients of both towers, from the reference's gradients of the features.
  func testEveryGradient() throws {
    for name in PairGolden.names {
      for recomputes in [false, true] {
        let (golden, model, dual) = try load(name)
        var found: [String: [Float]] = [:]
        for side in ["visual", "textual"] {
          let context = Context(backend, recording: true, recomputesLayers: recomputes)
          let features =
            side == "visual"
            ? model.visualFeatures(.pixels(try golden.pixels(backend)), context)
            : model.textualFeatures(golden.batch(backend), rows: golden.rows(dual, backend), context)
          let seed = backend.tensor(try golden.golden.floats(side + ".gradient"), features.shape)
          context.backward(from: features, seed: seed) { parameter, gradient in
            XCTAssertNil(found[parameter.name], "\(parameter.name) is complete twice")
            found[parameter.name] = backend.read(gradient)
          }
        }
        let wanted = try XCTUnwrap(golden.json["gradient_norms"]?.object)
        let own = wanted.filter { !$0.key.hasPrefix("logit_") }
        XCTAssertEqual(Set(found.keys), Set(own.keys))
        XCTAssertEqual(Set(model.parameters.map(\.name)), Set(wanted.keys))
        let floor = 1e-6 * own.values.compactMap(\.double).reduce(0) { $0 + $1 * $1 }.squareRoot()
        for (parameter, gradient) in found {
          let place = "\(name): gradient of \(parameter)"
          let norm = try XCTUnwrap(own[parameter]?.double)
          let size = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
          XCTAssertEqual(size, norm, accuracy: max(1e-4 * norm, floor), place)
          guard golden.golden.tensors.entries["grad." + parameter] != nil else { continue }
          let distance = relativeDistance(gradient, try golden.golden.floats("grad." + parameter))
          XCTAssertLessThan(distance * norm, max(1e-4 * norm, floor), place)
        }
      }
    }
  }

  func testWhatBelongsToWhichPart() throws {
    let (_, clip, _) = try load("clip")
    let (_, siglip, _) = try load("siglip")
    func projector(_ model: MultimodalModel) -> [String] {
      model.parameters.map(\.name).filter { MultimodalModel.part(of: $0) == .projector }
    }
    XCTAssertEqual(projector(clip), ["visual_projection.weight", "text_projection.weight", "logit_scale"])
    XCTAssertEqual(projector(siglip), ["text_model.head.weight", "text_model.head.bias", "logit_scale", "logit_bias"])
    for model in [clip, siglip] {
      for parameter in model.parameters where parameter.name.hasPrefix("vision_model.") {
        XCTAssertEqual(MultimodalModel.part(of: parameter.name), .vision)
      }
      XCTAssertEqual(MultimodalModel.part(of: "text_model.encoder.layers.0.mlp.fc1"), .language)
      XCTAssertEqual(model.weightNames.hub("vision_model.post_layernorm.weight"), "vision_model.post_layernorm.weight")
      XCTAssertEqual(model.eyes?.rowsPerImage, 1)
    }
  }

  func testWhichTokenIsRead() {
    XCTAssertEqual(DualEncoder.Reading.highest.position(in: [5, 9, 2, 9]), 1)
    XCTAssertEqual(DualEncoder.Reading.first(9).position(in: [5, 2, 9, 9]), 2)
    XCTAssertEqual(DualEncoder.Reading.first(9).position(in: [5, 2]), 0)
    XCTAssertEqual(DualEncoder.Reading.last.position(in: [5, 2, 1]), 2)
  }

  /// openai/clip-vit-base-patch32 and -large-patch14, google/siglip-base-patch16-224, as they are published.
  func testPublishedConfigurations() throws {
    func model(_ json: String) throws -> MultimodalModel {
      try ModelFolder("none", configuration: JSON(parsing: json, at: "config.json")).makeModel()
    }
    let base = try model(
      """
      {"_commit_hash": null, "architectures": ["CLIPModel"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592,
       "model_type": "clip", "projection_dim": 512, "text_config_dict": null, "vision_config_dict": null,
       "text_config": {"add_cross_attention": false, "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0,
         "eos_token_id": 2, "hidden_act": "quick_gelu", "hidden_size": 512, "initializer_factor": 1.0,
         "intermediate_size": 2048, "layer_norm_eps": 1e-05, "max_position_embeddings": 77, "model_type": "clip_text_model",
         "num_attention_heads": 8, "num_hidden_layers": 12, "pad_token_id": 1, "pruned_heads": {},
         "tie_word_embeddings": true, "vocab_size": 49408},
       "torch_dtype": "float32", "transformers_version": null,
       "vision_config": {"attention_dropout": 0.0, "dropout": 0.0, "hidden_act": "quick_gelu", "hidden_size": 768,
         "image_size": 224, "intermediate_size": 3072, "layer_norm_eps": 1e-05, "model_type": "clip_vision_model",
         "num_attention_heads": 12, "num_hidden_layers": 12, "patch_size": 32, "tie_word_embeddings": true}}
      """)
    XCTAssertEqual(base.parameters.reduce(0) { $0 + $1.count }, 151_277_313)
    XCTAssertEqual(base.dual?.reading, .highest)
    // What stands in text_config_dict takes the place of text_config, defaults included.
    let large = try model(
      """
      {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 768,
       "text_config": {"eos_token_id": 2, "hidden_size": 768, "intermediate_size": 3072, "model_type": "clip_text_model",
         "num_attention_heads": 12, "num_hidden_layers": 12, "projection_dim": 768},
       "text_config_dict": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
         "num_hidden_layers": 12, "projection_dim": 768},
       "vision_config_dict": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
         "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768}}
      """)
    XCTAssertEqual(large.parameters.reduce(0) { $0 + $1.count }, 427_616_513)
    XCTAssertEqual(large.dual?.reading, .first(49407))
    let siglip = try model(
      """
      {"architectures": ["SiglipModel"], "initializer_factor": 1.0, "model_type": "siglip",
       "text_config": {"model_type": "siglip_text_model"}, "torch_dtype": "float32", "transformers_version": "4.37.0.dev0",
       "vision_config": {"model_type": "siglip_vision_model"}}
      """)
    XCTAssertEqual(siglip.parameters.reduce(0) { $0 + $1.count }, 203_155_970)
    XCTAssertEqual(siglip.dual?.filling, DualEncoder.Filling(token: 1, length: 64))
    XCTAssertEqual(siglip.dual?.matching, .sigmoid)
  }

  func testConfigurationsThatCannotBe() throws {
    for (name, key, value, part) in [
      ("clip", "text_config", ["hidden_size": 10, "num_attention_heads": 3] as JSON, "not a multiple"),
      ("clip", "text_config", ["model_type": "bert"], "clip_text_model"), ("clip", "new_field", 1, "new_field"),
      ("siglip", "text_config", ["projection_size": 12, "hidden_size": 16, "num_attention_heads": 2], "vectors of 12"),
      ("siglip", "vision_config", ["hidden_size": 16, "num_attention_heads": 2, "vision_use_head": false], "vectors"),
      ("siglip", "text_config", ["pad_token_id": -1, "hidden_size": 16, "num_attention_heads": 2], "padding token"),
    ] {
      let good = try PairGolden(name).folder.configuration
      let fault = try fault(key) { try MultimodalModel(configuration: good.with(key, value), at: "config.json") }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.description.contains(part), fault.description)
    }
  }
}
