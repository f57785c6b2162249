import Foundation
import Ground
import TestSupport
import XCTest

/// `mmdist study`: two methods on two amounts of data, with a tiny model.
final class StudyCommandTests: ProgramTestCase {
  private let cells = [
    "method=full,data_size=4,repeat=1", "method=full,data_size=8,repeat=1", "method=lora,data_size=4,repeat=1",
    "method=lora,data_size=8,repeat=1",
  ]

  private func writeFiles(
    steps: Int = 2, every: Int = 2, output: String = "study", vary: String? = nil, more: String = ""
  ) throws {
    let golden = try Golden("llava-siglip-qwen2")
    let data = "[{path: \(golden.recordsFile), images: \(golden.imagesFolder)}]"
    try write(
      "run.yaml",
      """
      model: \(golden.modelFolder)
      data: {train: \(data), validation: \(data), max_length: 512}
      train:
        precision: float32
        steps: \(steps)
        global_batch: 4
        parts:
          language: {train: full, learning_rate: 1.0e-3}
          projector: {train: full, learning_rate: 1.0e-3}
      checkpoint: {every: \(every)}
      log: {tensorboard: false}
      """)
    let standard = """
        method:
          full: {}
          lora: {train.parts.language: {train: lora, rank: 2, alpha: 4, learning_rate: 1.0e-3, targets: all-linear}}
        data_size: [4, 8]
      """
    try write(
      "study.yaml",
      "run: run.yaml\noutput: \(output)\nvary:\n\(vary ?? standard)\nmetrics: [loss, exact_match]\nmax_new_tokens: 4\n"
        + more)
  }

  private func result(_ cell: String, of study: String = "study") throws -> JSON {
    try JSON(contentsOf: path("\(study)/cells/\(cell)/result.json"))
  }

  func testEveryCellIsTrainedAndMeasured() throws {
    try writeFiles(more: "baseline: {method: full}\n")
    let ended = try succeed(["study", "-c", "study.yaml"])
    XCTAssertTrue(ended.output.contains("cell 4 of 4"), ended.output)
    XCTAssertTrue(ended.output.contains("loss − method full"), ended.output)
    for cell in cells {
      let folder = "study/cells/\(cell)"
      let own = try result(cell)
      XCTAssertEqual(own["steps"], 2)
      XCTAssertEqual(own["validation_records"], 14)
      XCTAssertEqual(own["data"]?["records"]?.integer, cell.contains("size=4") ? 4 : 8)
      let lines = try bytes(folder + "/train.jsonl").count { $0 == 0x0A }
      XCTAssertEqual(lines, own["data"]?["records"]?.integer)
      XCTAssertFalse(FileManager.default.fileExists(atPath: path(folder + "/checkpoints")))
      XCTAssertGreaterThan(own["peak_memory_bytes"]?.integer ?? 0, 1 << 20)
      let share = Double(own["trained_parameters"]?.integer ?? 0) / Double(own["parameters"]?.integer ?? 1)
      XCTAssertEqual(share > 0.3, cell.contains("full"), "\(cell): \(share)")
      // The cell's run file is a run file like any other, and its figures are those of eval.
      XCTAssertTrue(try String(decoding: bytes(folder + "/run.yaml"), as: UTF8.self).contains(cell))
    }
    let lora = "study/cells/\(cells[2])"
    try succeed(
      ["eval", "-c", lora + "/run.yaml", "--adapter", lora + "/adapter", "--metrics", "loss", "--output", "r.json"])
    XCTAssertEqual(
      try result(cells[2])["metrics"]?["loss"]?.double ?? 0,
      try JSON(contentsOf: path("r.json"))["metrics"]?["loss"]?.double ?? 1, accuracy: 1e-6)
    XCTAssertEqual(try bytes("study/results.csv").count { $0 == 0x0A }, 5)
    XCTAssertEqual(try JSON(contentsOf: path("study/study.json"))["rows"]?.array?.count, 4)
    XCTAssertTrue(try String(decoding: bytes("study/study.html"), as: UTF8.self).contains("4 of 4 cells measured"))

    // Nothing is left to do; the report alone; the same figures on two ranks.
    let before = try bytes("study/cells/\(cells[0])/result.json")
    let again = try succeed(["study", "-c", "study.yaml"])
    XCTAssertTrue(again.output.contains("4 of 4 cells are done already"), again.output)
    XCTAssertEqual(try bytes("study/cells/\(cells[0])/result.json"), before)
    let report = try succeed(["study", "-c", "study.yaml", "--report"], ranks: 2)
    XCTAssertTrue(report.output.contains("loss − method full"))
    try writeFiles(output: "two", more: "baseline: {method: full}\n")
    try succeed(["study", "-c", "study.yaml"], ranks: 2)
    for cell in cells { XCTAssertEqual(try result(cell, of: "two")["metrics"], try result(cell)["metrics"], cell) }
  }

  func testAStudyThatIsKilledGoesOn() throws {
    try writeFiles(steps: 180, every: 180, output: "whole")
    try succeed(["study", "-c", "study.yaml"])
    try writeFiles(steps: 180, every: 10)
    let running = try start(["study", "-c", "study.yaml"])
    try waitForStep(12, of: "study/cells/\(cells[1])", running)
    Foundation.kill(running.process.processIdentifier, SIGKILL)
    XCTAssertNotEqual(try running.ended().code, 0)
    XCTAssertThrowsError(try result(cells[1]))
    let ended = try succeed(["study", "-c", "study.yaml"])
    XCTAssertTrue(ended.output.contains("1 of 4 cells are done already"), ended.output)
    XCTAssertTrue(ended.output.contains("resumed after step "), ended.output)
    for cell in cells {
      XCTAssertEqual(try result(cell)["metrics"], try result(cell, of: "whole")["metrics"], cell)
      XCTAssertEqual(try metrics("study/cells/\(cell)").count, 180)
    }
  }

  func testAStopIsObeyed() throws {
    try writeFiles(steps: 90)
    let running = try start(["study", "-c", "study.yaml"], ranks: 2)
    try waitForStep(3, of: "study/cells/\(cells[0])", running)
    try write("study/STOP", "")
    let ended = try running.ended()
    XCTAssertEqual(ended.code, Fault.Kind.stopped.rawValue, ended.errors)
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("study/STOP")))
    XCTAssertThrowsError(try result(cells[0]))
    let again = try succeed(["study", "-c", "study.yaml"])
    XCTAssertTrue(again.output.contains("resumed after step "), again.output)
    XCTAssertEqual(try result(cells[3])["steps"], 90)
  }

  func testAFailedCellIsRecordedAndTheOthersAreRun() throws {
    for ranks in [nil, 2] {
      let output = "study-\(ranks ?? 1)"
      try writeFiles(output: output, vary: "  case: {bad: {model: ./nowhere}, good: {}}")
      let ended = try run(["study", "-c", "study.yaml"], ranks: ranks)
      XCTAssertEqual(ended.code, Fault.Kind.missingInput.rawValue, ended.errors)
      let bad = try result("case=bad,repeat=1", of: output)
      XCTAssertEqual(bad["exit_code"], 66)
      XCTAssertTrue(bad["error"]?.string?.contains("nowhere") ?? false, "\(bad)")
      XCTAssertEqual(try result("case=good,repeat=1", of: output)["steps"], 2)
      XCTAssertTrue(ended.output.contains("failed: case=bad,repeat=1: "), ended.output)
      XCTAssertTrue(ended.output.contains(bad["error"]?.string ?? "?"), ended.output)
    }
    // It is tried again, and nothing else.
    try copy(Golden("llava-siglip-qwen2").modelFolder, to: "nowhere")
    let again = try succeed(["study", "-c", "study.yaml"])
    XCTAssertTrue(again.output.contains("cell 1 of 1: case=bad,repeat=1"), again.output)
    XCTAssertEqual(try result("case=bad,repeat=1", of: "study-2")["steps"], 2)
  }

  func testRefusals() throws {
    try writeFiles(more: "repeat: 3\n")
    try assertRefused(
      ["study", "-c", "study.yaml"], .badConfiguration, "unknown key 'repeat'; did you mean 'repeats'?")
    try assertRefused(["study", "-c", "nowhere.yaml"], .missingInput, "nowhere.yaml")
    try writeFiles()
    try change("study.yaml") {
      $0 = Data(String(decoding: $0, as: UTF8.self).replacing("exact_match", with: "exact_mach").utf8)
    }
    try assertRefused(["study", "-c", "study.yaml"], .badConfiguration, "did you mean 'exact_match'?")
    try writeFiles(vary: "  data_size: [4, 400]")
    try assertRefused(["study", "-c", "study.yaml"], .badConfiguration, "data_size 400 is more than the 14 records")
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("study/cells")), "nothing is run before")
    try writeFiles(vary: "  data_size: [4]")
    try succeed(["study", "-c", "study.yaml"])
    try writeFiles(steps: 3, vary: "  data_size: [4]")
    try assertRefused(
      ["study", "-c", "study.yaml"], .badConfiguration, "was run with other settings: train.steps was 2, is 3",
      "choose another output")
    // Another measurement of the same training is made anew.
    try writeFiles(vary: "  data_size: [4]", more: "samples: 5\n")
    try succeed(["study", "-c", "study.yaml"])
    XCTAssertEqual(try result("data_size=4,repeat=1")["validation_records"], 5)
  }
}
