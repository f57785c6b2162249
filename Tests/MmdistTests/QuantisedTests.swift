import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// `train: qlora`, from the run file to the exports.
final class QuantisedTests: ProgramTestCase {
  private let golden = Result { try Golden("llava-clip-llama") }

  private func setUpRun() throws { try write("run.yaml", golden.get().runFile()) }

  private func train(_ output: String, _ changes: String...) -> [String] {
    ["train", "-c", "run.yaml"] + sets("train.parts.language.train=qlora", "output=\(output)")
      + changes.flatMap { sets($0) }
  }

  private func losses(_ output: String) throws -> [Double] { try metrics(output).compactMap { $0["loss"]?.double } }

  private func evaluate(_ arguments: [String]) throws -> [Double] {
    let golden = try golden.get()
    try succeed(
      [
        "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output",
        "report.json",
      ] + arguments)
    return try (JSON(contentsOf: path("report.json"))["samples"]?.array ?? []).compactMap { $0["nll"]?.double }
  }

  func testTheSameBitsOnSomeRanksAndThroughAResume() throws {
    try setUpRun()
    let ended = try succeed(train("alone", "train.precision=bfloat16"))
    XCTAssertTrue(ended.output.contains("the frozen weights in BF16 and NF4"), ended.output)
    XCTAssertTrue(ended.output.contains("lora r=4 α=8.0, nf4"), ended.output)
    try succeed(train("two", "train.precision=bfloat16", "checkpoint.every=5"), ranks: 2)
    XCTAssertEqual(try timelessMetrics("two"), try timelessMetrics("alone"))
    // On from step 5 on three ranks, quantised from the same cache.
    try FileManager.default.removeItem(atPath: path("two/checkpoints/step-00000012"))
    try FileManager.default.removeItem(atPath: path("two/checkpoints/step-00000010"))
    try succeed(train("two", "train.precision=bfloat16", "checkpoint.every=5"), ranks: 3)
    XCTAssertEqual(try timelessMetrics("two"), try timelessMetrics("alone"))
    XCTAssertEqual(
      try bytes("two/adapter/adapter_model.safetensors"), try bytes("alone/adapter/adapter_model.safetensors"))
  }

  func testItsExports() throws {
    try setUpRun()
    try succeed(train("run"))
    let checkpoint = ["--checkpoint", "run/checkpoints/step-00000012"]
    let quantised = sets("train.parts.language.train=qlora")
    let wanted = try evaluate(checkpoint + quantised)
    for format in ["peft", "merged", "llava", "bitsandbytes"] {
      let ended = try succeed(["export"] + checkpoint + ["--format", format, "--output", format])
      XCTAssertTrue(ended.output.hasPrefix("wrote \(format); read back"), ended.output)
    }
    func assertNear(_ found: [Double], _ accuracy: Double, line: UInt = #line) {
      XCTAssertEqual(found.count, wanted.count, line: line)
      for (found, wanted) in zip(found, wanted) {
        XCTAssertEqual(found, wanted, accuracy: accuracy * wanted, line: line)
      }
    }
    assertNear(try evaluate(["--adapter", "peft"] + quantised), 1e-5)
    for format in ["merged", "llava"] { assertNear(try evaluate(sets("model=\(format)", "adapter=null")), 1e-5) }
    // Rounded to codes once more, it is near, and elsewhere.
    let rounded = try evaluate(sets("model=bitsandbytes", "adapter=null"))
    assertNear(rounded, 0.1)
    XCTAssertGreaterThan(zip(rounded, wanted).map { abs($0 - $1) }.max() ?? 0, 1e-3)
    let file = try SafeTensorsFile(path("bitsandbytes/model.safetensors"))
    XCTAssertEqual(file.entries.keys.count { $0.hasSuffix(".quant_state.bitsandbytes__nf4") }, 21)
    XCTAssertNil(try JSON(contentsOf: path("merged/config.json"))["quantization_config"])
    XCTAssertEqual(
      try JSON(contentsOf: path("bitsandbytes/config.json"))["quantization_config"]?["llm_int8_skip_modules"],
      ["model.vision_tower", "model.multi_modal_projector", "lm_head"])
  }

  /// A model that is stored in 4 bits is trained as it is, by `train: lora` too, and merged into an ordinary one.
  func testAStoredQuantisedModel() throws {
    try setUpRun()
    try succeed(train("own"))
    let tokenizer = ["tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"]
    try copy(Golden.fixtures + "/nf4/model", to: "stored")
    for name in tokenizer { try copy(golden.get().modelFolder + "/" + name, to: "stored/" + name) }
    try succeed(["train", "-c", "run.yaml"] + sets("model=stored", "output=theirs"))
    XCTAssertEqual(try losses("theirs"), try losses("own"))
    try succeed(["export", "--checkpoint", "theirs/checkpoints/step-00000012", "--format", "merged", "--output", "m"])
    XCTAssertNil(try JSON(contentsOf: path("m/config.json"))["quantization_config"])
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("train.parts.language={train: full, quantize: nf4}"), .badConfiguration,
      "4-bit codes cannot be trained")
  }

  func testAQuantisedVisionEncoderHasFeaturesOfItsOwn() throws {
    try setUpRun()
    let plain = try succeed(train("plain"))
    XCTAssertEqual(plain.code, 0)
    try succeed(train("quantised", "train.parts.vision={train: frozen, quantize: nf4}"))
    XCTAssertNotEqual(try losses("quantised"), try losses("plain"))
    try succeed(train("again", "cache.features=off", "train.parts.vision={train: frozen, quantize: nf4}"))
    XCTAssertEqual(try losses("quantised"), try losses("again"))
  }
}
