import Foundation
import Ground
import TestSupport
import XCTest

/// `mmdist generate` against the reference's greedy texts.
final class GenerationTests: ProgramTestCase {
  private func arguments(_ golden: Golden, _ greedy: JSON) -> [String] {
    ["generate", "--model", golden.modelFolder, "--prompt", greedy["prompt"]?.string ?? "", "--max-new-tokens", "16"]
      + (greedy["images"]?.array ?? []).flatMap { ["--image", "\(golden.imagesFolder)/\($0.string ?? "")"] }
  }

  func testGreedyTextAtOnceAndStreamed() throws {
    for name in Golden.names {
      let golden = try Golden(name)
      let greedy = golden.json["greedy"]?.array ?? []
      XCTAssertGreaterThanOrEqual(greedy.count, 3)
      for entry in greedy {
        let wanted = try XCTUnwrap(entry["text"]?.string) + "\n"
        let whole = try succeed(arguments(golden, entry))
        XCTAssertEqual(Array(whole.output.utf8), Array(wanted.utf8), "\(name): \(entry["prompt"] ?? .null)")
        XCTAssertEqual(whole.errors, "")
        XCTAssertEqual(try succeed(arguments(golden, entry) + ["--stream"]).output, wanted)
      }
    }
  }

  func testAPromptWithoutATagGetsOneForEachPicture() throws {
    let golden = try Golden("llava-clip-llama")
    let entry = try XCTUnwrap(golden.json["greedy"]?.array?.first)
    XCTAssertEqual(entry["prompt"], "<image>\nWhat is in the picture?")
    let bare = entry.with(["prompt": "What is in the picture?"])
    XCTAssertEqual(try succeed(arguments(golden, bare)).output, try XCTUnwrap(entry["text"]?.string) + "\n")
  }

  func testSamplingFollowsItsSeed() throws {
    let golden = try Golden("gpt2")
    let entry = try XCTUnwrap(golden.json["greedy"]?.array?.first)
    func sampled(_ seed: Int) throws -> String {
      try succeed(arguments(golden, entry) + ["--temperature", "1.5", "--seed", "\(seed)"]).output
    }
    let first = try sampled(1)
    XCTAssertEqual(try sampled(1), first)
    XCTAssertNotEqual(try sampled(2), first)
  }

  func testAnAdapterChangesTheText() throws {
    let golden = try Golden("llava-clip-llama")
    let entry = try XCTUnwrap(golden.json["greedy"]?.array?.first)
    let base = try succeed(arguments(golden, entry)).output
    let adapted = try succeed(arguments(golden, entry) + ["--adapter", golden.folder + "/adapter_final"]).output
    XCTAssertNotEqual(adapted, base)
  }

  func testAPromptThatIsLongerThanTheModelTakes() throws {
    let golden = try Golden("gpt2")
    let positions = try XCTUnwrap(JSON(contentsOf: golden.modelFolder + "/config.json")["n_positions"]?.integer)
    let long = String(repeating: "a few words ", count: positions)
    try assertRefused(
      ["generate", "--model", golden.modelFolder, "--prompt", long], .badData,
      "the model takes \(positions): shorten it")
    // What is written stops at the last position.
    let ended = try succeed(
      ["generate", "--model", golden.modelFolder, "--prompt", "Hello", "--max-new-tokens", "\(positions)"])
    XCTAssertGreaterThan(ended.output.utf8.count, 0)
  }

  func testPicturesAndTagsMustAgree() throws {
    let golden = try Golden("llava-clip-llama")
    let ended = try run(["generate", "--model", golden.modelFolder, "--prompt", "<image> and <image>?"])
    XCTAssertEqual(ended.code, 64)
    XCTAssertEqual(
      ended.errors,
      "mmdist: error: 2 <image> in the prompt, 0 --image: give one --image for each <image>\n")
  }
}
