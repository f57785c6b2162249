import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// The ways to tune that keep what they train beside the model, through the whole program.
final class MethodsTests: ProgramTestCase {
  private let rows = [
    "{projector: {train: full}, language: {train: prompt, tokens: 3, init_text: 'Say what you see.'}}",
    "{vision: {train: lora, rank: 2, targets: [q_proj]}, projector: {train: full}, "
      + "language: {train: prefix, tokens: 2, projection: 8}}",
    "{vision: {train: adapter, kind: parallel}, projector: {train: full}, language: {train: adapter, kind: houlsby}}",
    "{projector: {train: frozen}, language: {train: p_tuning, tokens: 2}}",
  ]

  private func runFile(_ golden: Golden, _ rows: String) -> String {
    "model: \(golden.modelFolder)\noutput: ./run\n"
      + "data: {train: [{path: \(golden.recordsFile), images: \(golden.imagesFolder)}]}\n"
      + "train: {precision: float32, steps: 4, global_batch: 4, micro_batch: 2, parts: \(rows)}\ncheckpoint: {every: 2}\n"
  }

  private func losses(_ golden: Golden, _ arguments: [String]) throws -> [Double] {
    try succeed(
      [
        "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output",
        "report.json",
      ] + arguments)
    return try (JSON(contentsOf: path("report.json"))["samples"]?.array ?? []).compactMap { $0["nll"]?.double }
  }

  private func adapterFiles(_ run: String) throws -> [String: Data] {
    let folder = path(run + "/adapter")
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return try Dictionary(
      uniqueKeysWithValues: names.filter { $0.contains(".") }.map { ($0, try readFile("\(folder)/\($0)")) })
  }

  func testTrainEvaluateResumeExportGenerate() throws {
    let golden = try Golden("llava-clip-llama")
    for (index, row) in rows.enumerated() {
      let (whole, stopped) = ("whole-\(index)", "stopped-\(index)")
      try write("run.yaml", runFile(golden, row))
      try succeed(["train", "-c", "run.yaml", "--set", "output=\(whole)"])
      let checkpoint = "\(whole)/checkpoints/step-00000004"
      let wanted = try losses(golden, ["--checkpoint", checkpoint])
      XCTAssertEqual(wanted.count, golden.records.count)
      let read = try losses(golden, ["--adapter", "\(whole)/adapter"])
      for (own, want) in zip(read, wanted) { XCTAssertEqual(own, want, accuracy: 1e-6 * want, row) }
      let bare = try losses(golden, [])
      XCTAssertNotEqual(bare, wanted, "what was trained does something")

      // From the checkpoint of step 2 on, the same bits.
      try FileManager.default.createDirectory(atPath: path(stopped), withIntermediateDirectories: true)
      try succeed(
        ["train", "-c", "run.yaml", "--set", "output=\(stopped)", "--resume", "\(whole)/checkpoints/step-00000002"])
      XCTAssertEqual(try adapterFiles(stopped), try adapterFiles(whole), row)

      try succeed(["export", "--checkpoint", checkpoint, "--format", "peft", "--output", "peft-\(index)"])
      let refused = try run(
        ["export", "--checkpoint", checkpoint, "--format", "merged", "--output", "merged-\(index)"])
      XCTAssertEqual(refused.code, 64, row)
      XCTAssertTrue(refused.errors.contains("is no change of its weights"), refused.errors)
      let said = try succeed([
        "generate", "--model", golden.modelFolder, "--adapter", "\(whole)/adapter", "--prompt", "What is it?",
        "--max-new-tokens", "4",
      ])
      XCTAssertFalse(said.output.isEmpty)
    }
  }

  func testAnAdapterIsTrainedOn() throws {
    let golden = try Golden("llava-clip-llama")
    let row = "{projector: {train: full}, language: {train: prefix, tokens: 3}}"
    try write("run.yaml", runFile(golden, row))
    try succeed(["train", "-c", "run.yaml", "--set", "output=first"])
    let wanted = try losses(golden, ["--adapter", "first/adapter"])
    try succeed(
      ["train", "-c", "run.yaml"]
        + sets("output=second", "adapter=first/adapter", "train.steps=1", "train.schedule.warmup_steps=1"))
    // The first step has rate 0.
    XCTAssertEqual(try losses(golden, ["--adapter", "second/adapter"]), wanted)
    let refused = try run(["train", "-c", "run.yaml"] + sets("adapter=first/adapter", "train.parts.language.tokens=4"))
    XCTAssertEqual(refused.code, 78)
    XCTAssertTrue(refused.errors.contains("tokens is 4, the adapter's is 3"), refused.errors)
  }

  func testRowsThatMakeNoSense() throws {
    let golden = try Golden("llava-clip-llama")
    for (row, what) in [
      ("{vision: {train: prompt}}", "the vision part reads no tokens"),
      ("{projector: {train: adapter}}", "the projector has no residual branches"),
      ("{language: {train: prompt, init: gaussian}}", "is for 'train: lora'"),
      ("{language: {train: prompt, init_text: ''}}", "init_text' is empty"),
      ("{language: {train: adapter, kind: parallel, adapters: [{name: a, path: nowhere}]}}", "nowhere"),
      ("{language: {train: adapter, fusion: true}}", "has 0 to fuse"),
      ("{language: {train: adapter, activation: leaky}}", "is leaky"),
      ("{language: {train: adapter, adapter_name: a.b}}", "is 'a.b'"),
      ("{language: {train: prefix, projection: 0}}", "is 0"), ("{language: {train: prompt, tokens: 0}}", "is 0"),
    ] {
      try write("run.yaml", runFile(golden, row))
      let refused = try run(["train", "-c", "run.yaml"])
      XCTAssertTrue([78, 66].contains(refused.code), "\(row): \(refused.code) \(refused.errors)")
      XCTAssertTrue(refused.errors.contains(what), "\(row): \(refused.errors)")
      XCTAssertEqual(refused.errors.split(separator: "\n").count, 1, refused.errors)
    }
  }

  /// What gives labels is trained and saved with whatever is added to the language part.
  func testTextsWithLabels() throws {
    let texts = "\(Golden.fixtures)/bert/texts.jsonl"
    for (model, row) in [
      ("gpt2", "{train: prompt, tokens: 3}"), ("gpt2", "{train: prefix, tokens: 2}"),
      ("gpt2", "{train: adapter, kind: houlsby}"), ("bert", "{train: adapter, kind: pfeiffer, reduction: 4}"),
    ] {
      try write(
        "run.yaml",
        "model: \(Golden.fixtures)/\(model)/model\noutput: ./run\n"
          + "data: {train: [{path: \(texts), format: classification}], "
          + "validation: [{path: \(texts), format: classification}]}\n"
          + "train: {precision: float32, steps: 3, global_batch: 4, parts: {language: \(row)}}\n")
      try succeed(["train", "-c", "run.yaml", "--resume", "never"])
      func report(_ arguments: [String]) throws -> JSON {
        try succeed(["eval", "-c", "run.yaml", "--output", "report.json"] + arguments)
        return try JSON(contentsOf: path("report.json"))["metrics"] ?? .null
      }
      let wanted = try report(["--checkpoint", "run/checkpoints/step-00000003"])
      XCTAssertNotNil(wanted["loss"], "\(wanted)")
      XCTAssertEqual(try report(["--adapter", "run/adapter"]), wanted, "\(model) \(row)")
    }
  }

  func testStages() throws {
    let golden = try Golden("llava-clip-llama")
    func stages(_ first: String) -> String {
      "model: \(golden.modelFolder)\noutput: ./run\n"
        + "data: {train: [{path: \(golden.recordsFile), images: \(golden.imagesFolder)}]}\n"
        + "train: {precision: float32, global_batch: 4}\nstages:\n"
        + "  - {name: a, train: {steps: 2, parts: {projector: {train: full}, language: {train: frozen}}}}\n"
        .replacingOccurrences(of: "language: {train: frozen}", with: "language: \(first)")
        + "  - {name: b, train: {steps: 2, parts: {projector: {train: frozen}, language: {train: prefix, tokens: 2}}}}\n"
    }
    try write("run.yaml", stages("{train: prefix, tokens: 2}"))
    try succeed(["train", "-c", "run.yaml"])
    XCTAssertEqual(try losses(golden, ["--adapter", "run/adapter"]).count, golden.records.count)
    try write("run.yaml", stages("{train: frozen}"))
    try assertRefused(["train", "-c", "run.yaml"], .badConfiguration, "would be there, untrained, in the first")
  }
}
