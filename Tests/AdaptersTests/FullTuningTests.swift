import Adapters
import Ground
import Models
import RunFile
import TestSupport
import XCTest

/// What is trained of a part that is trained as it is.
final class FullTuningTests: XCTestCase {
  private func trained(_ golden: String, _ method: FullTuning, part: ModelPart = .language) throws -> [String] {
    try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: [part: method]).trainable.map(\.name)
  }

  func testAWholePart() throws {
    let language = try trained("llava-clip-llama", .full)
    XCTAssertTrue(language.contains("lm_head.weight") && language.contains("model.language_model.norm.weight"))
    XCTAssertFalse(language.contains { $0.contains("vision_tower") || $0.contains("projector") })
    XCTAssertEqual(
      try trained("llava-clip-llama", .full, part: .projector),
      ["linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias"].map {
        "model.multi_modal_projector.\($0)"
      })
  }

  func testSomeLayers() throws {
    let last = try trained("llava-clip-llama", FullTuning(layers: LayerSet([2])))
    XCTAssertEqual(last.count, 9)
    XCTAssertTrue(last.allSatisfy { $0.hasPrefix("model.language_model.layers.2.") })
    let vision = try trained("llava-clip-llama", FullTuning(layers: LayerSet(0...1)), part: .vision)
    XCTAssertEqual(Set(vision.map { $0.split(separator: ".")[4] }), ["0", "1"])
  }

  func testAllButSomeKinds() throws {
    let all = try trained("gpt2", .full)
    XCTAssertEqual(
      Set(all).subtracting(try trained("gpt2", FullTuning(frozen: [.embeddings, .head]))),
      ["transformer.wte.weight", "transformer.wpe.weight"])
    let norms = Set(all).subtracting(try trained("gpt2", FullTuning(frozen: [.norms])))
    XCTAssertEqual(norms.count, 2 * (2 * 2 + 1))
    XCTAssertTrue(norms.allSatisfy { $0.contains("ln_") })
    XCTAssertFalse(try trained("gpt2", FullTuning(frozen: [.biases])).contains { $0.hasSuffix(".bias") })
    XCTAssertEqual(
      Set(try trained("llava-clip-llama", .full)).subtracting(
        try trained("llava-clip-llama", FullTuning(frozen: [.head]))), ["lm_head.weight"])
  }

  func testWhatMakesNoSenseIsRefused() throws {
    for (golden, method, what) in [
      ("llava-clip-llama", FullTuning(layers: LayerSet([3])), "there is no layer 3"),
      ("gpt2", FullTuning(frozen: [.head]), "shares its weight"),
      ("llava-clip-llama", FullTuning(layers: LayerSet([0]), frozen: FrozenKind.allCases), nil),
    ] as [(String, FullTuning, String?)] {
      do {
        let names = try trained(golden, method)
        XCTAssertNil(what)
        XCTAssertFalse(names.isEmpty)
      } catch let fault as Fault {
        XCTAssertEqual(fault.kind, .badConfiguration)
        XCTAssertTrue(fault.what.contains(try XCTUnwrap(what)), fault.what)
      }
    }
    XCTAssertThrowsError(
      try trained("llava-clip-llama", FullTuning(layers: LayerSet([0])), part: .projector)
    ) { XCTAssertTrue("\($0)".contains("no layer 0") || "\($0)".contains("numbered"), "\($0)") }
  }
}
