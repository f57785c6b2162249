import Foundation
import Ground
import TestSupport
import XCTest

/// `mmdist eval` against the reference's figures for every record.
final class EvaluationTests: ProgramTestCase {
  private func evaluate(_ golden: Golden, _ arguments: [String] = [], ranks: Int? = nil) throws -> JSON {
    try succeed(
      [
        "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output",
        "report.json",
      ] + arguments, ranks: ranks)
    return try JSON(contentsOf: path("report.json"))
  }

  private func assertReport(
    _ report: JSON, _ wanted: [Double], _ golden: Golden, accuracy: Double = 1e-5, file: StaticString = #filePath,
    line: UInt = #line
  ) {
    XCTAssertEqual(report.object?.keys.elements, ["metrics", "samples"], file: file, line: line)
    let samples = report["samples"]?.array ?? []
    XCTAssertEqual(samples.map { $0["index"]?.integer }, Array(wanted.indices), file: file, line: line)
    XCTAssertEqual(
      samples.map { $0["tokens"]?.integer }, golden.records.map(\.tokens), file: file, line: line)
    for (sample, nll) in zip(samples, wanted) {
      XCTAssertEqual(sample["nll"]?.double ?? .nan, nll, accuracy: accuracy * nll, file: file, line: line)
    }
    let mean = wanted.reduce(0, +) / Double(golden.records.reduce(0) { $0 + $1.tokens })
    XCTAssertEqual(report["metrics"]?["loss"]?.double ?? .nan, mean, accuracy: accuracy * mean, file: file, line: line)
  }

  /// A vision encoder without a class token, under a selection that leaves one out: the first patch is.
  func testSigLIPWithoutItsFirstPatch() throws {
    let golden = try Golden("llava-siglip-qwen2")
    try copy(golden.modelFolder, to: "model")
    try write("run.yaml", golden.plainRunFile)
    let full = try evaluate(golden)
    let configuration = try JSON(contentsOf: path("model/config.json"))
    try write("model/config.json", configuration.with("vision_feature_select_strategy", "default").indented)
    let less = try evaluate(golden, sets("model=model"))
    func nll(_ report: JSON) -> [Double?] { (report["samples"]?.array ?? []).map { $0["nll"]?.double } }
    for (index, record) in golden.records.enumerated() {
      XCTAssertEqual(nll(less)[index] == nll(full)[index], record.images.isEmpty, "record \(index)")
    }
  }

  func testTheBaseModel() throws {
    for name in Golden.names {
      let golden = try Golden(name)
      try write("run.yaml", golden.plainRunFile)
      let report = try evaluate(golden)
      assertReport(report, golden.records.map(\.nll), golden)
    }
  }

  func testAnAdapterOnAnyNumberOfRanks() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "gpt2"] {
      let golden = try Golden(name)
      try write("run.yaml", golden.runFile())
      let wanted = golden.json["lora"]?.doubles("nll_after") ?? []
      XCTAssertEqual(wanted.count, golden.records.count)
      let alone = try evaluate(golden, ["--adapter", golden.folder + "/adapter_final"])
      assertReport(alone, wanted, golden)
      let onThree = try evaluate(golden, ["--adapter", golden.folder + "/adapter_final"], ranks: 3)
      XCTAssertEqual(onThree, alone)
    }
  }

  func testACheckpointAndTheAdapterOfItsRun() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try succeed(["train", "-c", "run.yaml"])
    let wanted = golden.json["lora"]?.doubles("nll_after") ?? []
    let ofCheckpoint = try evaluate(golden, ["--checkpoint", "run/checkpoints/step-00000012"])
    assertReport(ofCheckpoint, wanted, golden, accuracy: 1e-4)
    XCTAssertEqual(try evaluate(golden, ["--adapter", "run/adapter"]), ofCheckpoint)
  }

  func testTheRunFilesOwnAdapterAndValidationData() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    let first = golden.json["lora"]?["steps"]?.array?.first
    XCTAssertEqual(first?["records"]?.array?.count, 4)
    try succeed(
      [
        "eval", "-c", "run.yaml", "--output", "reports/first/report.json", "--set",
        "data.validation=[{path: \(golden.recordsFile), images: \(golden.imagesFolder)}]",
      ] + sets("adapter=\(golden.folder)/adapter_final"))
    assertReport(
      try JSON(contentsOf: path("reports/first/report.json")), golden.json["lora"]?.doubles("nll_after") ?? [], golden)
  }
}
