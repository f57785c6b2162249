import Foundation
import Models
import SafeTensors
import Tensors
import TestSupport
import XCTest

/// The same weights under the names of every layout give the same model.
final class LayoutTests: FolderTests {
  private func values(_ folder: String) throws -> [String: [Float]] {
    let (folder, backend) = (try ModelFolder(folder), try CPUBackend(threads: 1))
    let model = try folder.makeModel()
    try folder.loadWeights(into: model, backend: backend, isFresh: { _ in false })
    return Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, backend.read($0.value)) })
  }

  /// All tensors of a golden model by their name in memory.
  private func tensors(_ golden: Golden) throws -> [StoredTensor] {
    let files = try WeightFiles(folder: golden.modelFolder)
    let names = try ModelFolder(golden.modelFolder).makeModel().weightNames
    return try files.files.flatMap { try $0.stored() }.map { tensor in
      var tensor = tensor
      tensor.name = names.canonical(tensor.name)
      return tensor
    }
  }

  /// Writes the model under other names into one file.
  private func write(_ golden: Golden, _ layout: String, _ rename: (String) throws -> String) throws -> String {
    let target = folder + "/" + layout
    try place(ModelFolder(golden.modelFolder).configuration.indented, layout + "/config.json")
    let renamed = try tensors(golden).map { tensor in
      var tensor = tensor
      tensor.name = try rename(tensor.name)
      return tensor
    }
    try writeStored(renamed, to: target + "/model.safetensors")
    return target
  }

  private static func original(_ name: String) -> String {
    let pairs = [
      ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model."),
      ("model.multi_modal_projector.linear_1", "model.mm_projector.0"),
      ("model.multi_modal_projector.linear_2", "model.mm_projector.2"), ("model.language_model.", "model."),
    ]
    for (from, to) in pairs where name.hasPrefix(from) { return to + name.dropFirst(from.count) }
    return name
  }

  func testLLaVAInFourLayouts() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "llava-list"] {
      let golden = try Golden(name)
      let saved = try values(golden.modelFolder)
      XCTAssertGreaterThan(saved.count, 40)
      let hub = try XCTUnwrap(golden.json["hub_names"]?.object)
      let layouts: [(String, (String) throws -> String)] = [
        ("hub", { try XCTUnwrap(hub[$0]?.string, $0) }), ("memory", { $0 }), ("original", LayoutTests.original),
      ]
      for (layout, rename) in layouts {
        XCTAssertEqual(try values(write(golden, "\(name)-\(layout)", rename)), saved, "\(name), \(layout)")
      }
    }
  }

  func testBF16InFourShardsIsWhatItsBitsSay() throws {
    let golden = try Golden("llava-list")
    let found = try values(golden.modelFolder)
    let stored = try tensors(golden)
    XCTAssertEqual(try WeightFiles(folder: golden.modelFolder).files.count, 4)
    XCTAssertEqual(Set(found.keys), Set(stored.map(\.name)))
    for tensor in stored {
      XCTAssertEqual(tensor.dtype, .bfloat16)
      let wanted = stride(from: 0, to: tensor.bytes.count, by: 2).map {
        Float(bitPattern: UInt32(tensor.bytes[$0]) << 16 | UInt32(tensor.bytes[$0 + 1]) << 24)
      }
      XCTAssertEqual(found[tensor.name], wanted, tensor.name)
    }
  }

  func testGPT2WithAndWithoutPrefixAndWithItsBuffers() throws {
    let golden = try Golden("gpt2")
    let saved = try values(golden.modelFolder)
    let bare = try write(golden, "bare") { String($0.dropFirst("transformer.".count)) }
    XCTAssertEqual(try values(bare), saved)
    let withBuffers =
      try SafeTensorsFile(bare + "/model.safetensors").stored() + [
        StoredTensor("h.0.attn.bias", [1, 1, 96, 96]), StoredTensor("h.1.attn.masked_bias", []),
      ]
    try place(ModelFolder(golden.modelFolder).configuration.indented, "buffers/config.json")
    try writeStored(withBuffers, to: folder + "/buffers/model.safetensors")
    XCTAssertEqual(try values(folder + "/buffers"), saved)
  }

  func testNormsWithGammaAndBeta() throws {
    // No family here has modules named LayerNorm, so their old names are no weights of it.
    let golden = try Golden("gpt2")
    let odd = try write(golden, "odd") { $0 == "transformer.ln_f.weight" ? "transformer.ln_f.gamma" : $0 }
    let fault = try fault { try values(odd) }
    XCTAssertTrue(fault.what.contains("lack 'transformer.ln_f.weight'"), "\(fault)")
  }
}
