import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// One run in stages: the projector first, then the language model, then the projector alone again.
final class StagesTests: ProgramTestCase {
  private static let lora = "{train: lora, rank: 4, alpha: 8, learning_rate: 2.0e-3, dropout: 0.1}"

  /// Three stages of 3, 4 and 2 steps.
  private func writeRunFile(_ changes: String = "") throws {
    let golden = try Golden("llava-clip-llama")
    try write(
      "run.yaml",
      """
      model: \(golden.modelFolder)
      data: {train: [{path: \(golden.recordsFile), images: \(golden.imagesFolder)}], max_length: 512}
      train:
        precision: float32
        global_batch: 4
        micro_batch: 2
        parts: {projector: {train: full, learning_rate: 1.0e-3}, language: {train: frozen}}
      checkpoint: {every: 1, keep: 100}
      stages:
        - {name: align, train: {steps: 3}}
        - {name: instruct, train: {steps: 4, parts: {language: \(StagesTests.lora)}}}
        - {name: again, train: {steps: 2}}
      \(changes)
      """)
  }

  private func train(_ output: String) -> [String] { ["train", "-c", "run.yaml"] + sets("output=\(output)") }

  private func adapter(_ output: String) throws -> Data { try bytes("\(output)/adapter/adapter_model.safetensors") }

  func testStagesFollowOneAnother() throws {
    try writeRunFile()
    let ended = try succeed(train("run"))
    let lines = try metrics("run")
    XCTAssertEqual(lines.map { $0["step"]?.integer }, Array(1...9))
    XCTAssertEqual(
      lines.map { $0["stage"]?.string },
      Array(repeating: "align", count: 3) + Array(repeating: "instruct", count: 4)
        + Array(repeating: "again", count: 2))
    // Each stage has a warm-up of its own, and rates for what it trains alone.
    let rates = lines.map { $0["learning_rates"]?["language"]?.double }
    XCTAssertEqual(rates.map { $0 == nil }, [true, true, true, false, false, false, false, true, true])
    XCTAssertEqual(
      lines.map { $0["learning_rates"]?["projector"]?.double == 0 }.enumerated().filter(\.element).map(\.offset),
      [0, 3, 7])
    XCTAssertTrue(ended.output.contains("stage 2 of 3, 'instruct': steps 4 to 7"), ended.output)
    XCTAssertTrue(ended.output.contains("step 9/9"), ended.output)
  }

  func testWhatAStageAddedStaysAtWorkWhenItIsFrozen() throws {
    try writeRunFile()
    try succeed(train("run"))
    for step in [6, 7, 9] {
      try succeed([
        "export", "--checkpoint", path("run/checkpoints/step-0000000\(step)"), "--format", "peft", "--output",
        path("after-\(step)"),
      ])
    }
    func updates(_ step: Int) throws -> [String: Data] {
      let file = try SafeTensorsFile(path("after-\(step)/adapter_model.safetensors"))
      let names = file.entries.keys.filter { $0.contains("lora_") }
      return try Dictionary(uniqueKeysWithValues: names.map { ($0, try Data(file.bytes(of: $0))) })
    }
    XCTAssertEqual(try updates(7).count, 42)
    XCTAssertNotEqual(try updates(6), try updates(7))
    XCTAssertEqual(try updates(7), try updates(9), "the last stage leaves them as they are")
    XCTAssertEqual(try bytes("after-9/adapter_model.safetensors"), try adapter("run"), "and they are in the adapter")
  }

  func testTheSameBitsFromEveryCheckpointAndOnAnyNumberOfRanks() throws {
    try writeRunFile()
    try succeed(train("run"), ranks: 2)
    // In a stage, at its end (where the next one begins afresh), and one step into the next.
    for step in [2, 3, 4, 7, 8] {
      let name = "step-0000000\(step)"
      try makeFolder(path("from-\(step)/checkpoints"))
      try copy(path("run/checkpoints/\(name)"), to: "from-\(step)/checkpoints/\(name)")
      let lines = try String(decoding: bytes("run/metrics.jsonl"), as: UTF8.self).split(separator: "\n")
      try write("from-\(step)/metrics.jsonl", lines.prefix(step).map { $0 + "\n" }.joined())
      let ended = try succeed(train("from-\(step)"), ranks: step % 2 == 0 ? 3 : nil)
      XCTAssertTrue(ended.output.contains("resumed after step \(step) from"), ended.output)
      XCTAssertEqual(try timelessMetrics("from-\(step)"), try timelessMetrics("run"), "\(step)")
      XCTAssertEqual(try adapter("from-\(step)"), try adapter("run"), "\(step)")
    }
  }

  func testEvaluationTakesACheckpointOfAnyStage() throws {
    try writeRunFile()
    try succeed(train("run"))
    let golden = try Golden("llava-clip-llama")
    var losses: [Double] = []
    for step in [3, 9] {
      try succeed([
        "eval", "-c", "run.yaml", "--checkpoint", path("run/checkpoints/step-0000000\(step)"), "--data",
        golden.recordsFile, "--images", golden.imagesFolder, "--output", path("report-\(step).json"),
      ])
      let report = try JSON(contentsOf: path("report-\(step).json"))
      losses.append(try XCTUnwrap(report["metrics"]?["loss"]?.double))
    }
    XCTAssertLessThan(losses[1], losses[0])
  }

  func testStagesThatOneModelCannotServeAreRefused() throws {
    for (stages, what) in [
      (
        "[{name: a, train: {steps: 1, parts: {language: {train: lora, rank: 2}}}}, {name: b, train: {steps: 1, parts: {language: {train: lora, rank: 3}}}}]",
        "different settings"
      ),
      (
        "[{name: a, train: {steps: 1, parts: {language: {train: full}}}}, {name: b, train: {steps: 1, parts: {language: {train: lora}}}}]",
        "no adapter could hold both"
      ),
    ] {
      try writeRunFile()
      try assertRefused(train("run") + sets("stages=\(stages)"), .badConfiguration, what)
    }
  }
}
