import Foundation
import Ground
import TestSupport
import XCTest

/// The program's cache of converted weights: the same figures with it, without it, and when several use it at once.
final class WeightCacheTests: ProgramTestCase {
  private func arguments(_ output: String) -> [String] {
    ["train"] + sets("output=\(output)", "train.precision=bfloat16", "train.steps=2", "cache.features=off")
  }

  private func weights(_ cache: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path(cache) + "/weights")
      .filter { $0.hasSuffix(".safetensors") }
  }

  func testRanksAndRunsShareOneFile() throws {
    try write("mmdist.yaml", Golden("llava-clip-llama").runFile())
    // Two runs at the same time, one of them of two ranks.
    let alone = try start(arguments("alone"), cache: path("cache"))
    let ranks = try start(arguments("ranks"), ranks: 2, cache: path("cache"))
    for run in [alone, ranks] {
      let ended = try run.ended()
      XCTAssertEqual(ended.code, 0, ended.errors)
      XCTAssertEqual(ended.errors, "")
    }
    XCTAssertEqual(try weights("cache").count, 1)
    let later = try start(arguments("later"), cache: path("cache")).ended()
    XCTAssertFalse(later.output.contains("the frozen weights in"), later.output)
    try write("file", "")
    let without = try start(arguments("without"), ranks: 2, cache: path("file/cache")).ended()
    XCTAssertEqual(without.code, 0)
    XCTAssertEqual(without.errorLines.count, 1, without.errors)
    XCTAssertTrue(without.errors.hasPrefix("mmdist: warning: every rank of "), without.errors)
    for other in ["ranks", "later", "without"] {
      XCTAssertEqual(try timelessMetrics(other), try timelessMetrics("alone"), other)
    }
  }

  func testGeneratedTextAndReportAreTheSame() throws {
    let golden = try Golden("llava-clip-llama")
    let generate = [
      "generate", "--model", golden.modelFolder, "--prompt", "What is this?", "--max-new-tokens", "8", "--precision",
      "bfloat16",
    ]
    let first = try start(generate, cache: path("cache")).ended()
    XCTAssertEqual(first.errors, "")
    XCTAssertEqual(try weights("cache").count, 1)
    try change("cache/weights/\(weights("cache")[0])") { $0[$0.count - 1] ^= 1 }
    try write("file", "")
    XCTAssertEqual(try start(generate, cache: path("cache")).ended().output, first.output)
    let without = try start(generate, cache: path("file")).ended()
    XCTAssertEqual(without.output, first.output)
    XCTAssertTrue(without.errors.hasPrefix("mmdist: warning: "), without.errors)

    try write("run.yaml", golden.plainRunFile)
    let evaluate = ["eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder]
    for (report, cache) in [("a.json", "cache"), ("b.json", "file")] {
      let ended = try start(
        evaluate + ["--output", report] + sets("train.precision=bfloat16"), ranks: 2, cache: path(cache)
      ).ended()
      XCTAssertEqual(ended.code, 0, ended.errors)
    }
    XCTAssertEqual(try bytes("a.json"), try bytes("b.json"))
    XCTAssertEqual(try weights("cache").count, 1)
  }
}
