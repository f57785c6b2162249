import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// `mmdist train` from files alone — records, pictures, weights, adapter — against what PEFT computed.
final class GoldenTrainingTests: ProgramTestCase {
  func testTwelveStepsOfClipAndLlama() throws {
    try assertEqualsReference("llava-clip-llama", parameters: "11,232 || all params: 110,912 || trainable%: 10.1269")
  }

  func testTwelveStepsOfSiglipAndQwen2() throws {
    try assertEqualsReference("llava-siglip-qwen2", parameters: "8,800 || all params: 79,232 || trainable%: 11.1066")
  }

  func testTwelveStepsOfGPT2() throws {
    try assertEqualsReference("gpt2", parameters: "4,608 || all params: 62,592 || trainable%: 7.3620")
  }

  func testFullTraining() throws {
    let golden = try Golden("llava-siglip-qwen2")
    try write("run.yaml", golden.runFile("full"))
    try succeed(["train", "-c", "run.yaml"])
    try assertSteps(golden, "full")
    XCTAssertFalse(
      FileManager.default.fileExists(atPath: path("run/adapter")), "a model that is trained whole is no adapter")
  }

  private func assertEqualsReference(_ name: String, parameters: String) throws {
    let golden = try Golden(name)
    try write("run.yaml", golden.runFile())
    let ended = try succeed(["train", "-c", "run.yaml"])
    XCTAssertTrue(
      ended.output.contains("trainable params: \(parameters)\n"),
      "no 'trainable params: \(parameters)':\n\(ended.output)")
    XCTAssertEqual(ended.errors, "")
    XCTAssertFalse(ended.output.contains("\u{1B}"), "no control sequences in a file")
    try assertSteps(golden, "lora")
    try assertAdapter(path("run/adapter"), equals: golden.folder + "/adapter_final")
    XCTAssertTrue(try String(decoding: bytes("run/run.yaml"), as: UTF8.self).contains("epsilon: "))
    XCTAssertEqual(try checkpoints("run"), ["step-00000012"])
    let events = try FileManager.default.contentsOfDirectory(atPath: path("run/tensorboard"))
    XCTAssertEqual(events.count, 1)
  }

  private func assertSteps(_ golden: Golden, _ section: String) throws {
    let wanted = golden.json[section]?["steps"]?.array ?? []
    let lines = try metrics("run")
    XCTAssertGreaterThan(wanted.count, 0)
    XCTAssertEqual(lines.count, wanted.count)
    for (line, want) in zip(lines, wanted) {
      for key in ["step", "supervised_tokens", "tokens", "images"] {
        XCTAssertEqual(line[key]?.integer, want[key]?.integer, "\(key) of step \(want["step"] ?? .null)")
      }
      let (loss, reference) = try (XCTUnwrap(line["loss"]?.double), XCTUnwrap(want["loss"]?.double))
      XCTAssertEqual(loss, reference, accuracy: 1e-5 * reference)
      let (norm, wantedNorm) = try (XCTUnwrap(line["grad_norm"]?.double), XCTUnwrap(want["grad_norm"]?.double))
      XCTAssertEqual(norm, wantedNorm, accuracy: 1e-3 * wantedNorm)
      for (part, rate) in want["learning_rates"]?.object ?? [:] {
        XCTAssertEqual(
          try XCTUnwrap(line["learning_rates"]?[part]?.double), rate.double ?? .nan, accuracy: 1e-9)
      }
    }
  }

  private func assertAdapter(_ adapter: String, equals reference: String) throws {
    let own = try SafeTensorsFile(adapter + "/adapter_model.safetensors")
    let wanted = try SafeTensorsFile(reference + "/adapter_model.safetensors")
    XCTAssertEqual(Set(own.entries.keys), Set(wanted.entries.keys))
    for name in wanted.entries.keys where own.entries[name] != nil {
      let distance = try relativeDistance(floats(own, name), floats(wanted, name))
      XCTAssertLessThan(distance, 1e-3, name)
    }
    let written = try JSON(contentsOf: adapter + "/adapter_config.json")
    let given = try JSON(contentsOf: reference + "/adapter_config.json")
    for key in ["peft_type", "r", "lora_alpha", "fan_in_fan_out", "modules_to_save", "bias", "use_rslora", "use_dora"] {
      XCTAssertEqual(written[key]?.description, given[key]?.description, key)
    }
  }

  private func floats(_ file: SafeTensorsFile, _ name: String) throws -> [Float] {
    XCTAssertEqual(file.entries[name]?.dtype, .float32, name)
    let bytes = try file.bytes(of: name)
    return (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
  }
}
