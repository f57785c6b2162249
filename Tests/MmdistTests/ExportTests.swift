import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// `mmdist export`: what it writes is a model or an adapter that loads again and computes the same.
final class ExportTests: ProgramTestCase {
  private func evaluate(_ golden: Golden, _ arguments: [String]) throws -> [Double] {
    try succeed(
      [
        "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output",
        "report.json",
      ] + arguments)
    return try (JSON(contentsOf: path("report.json"))["samples"]?.array ?? []).compactMap { $0["nll"]?.double }
  }

  private func assertClose(
    _ values: [Double], _ wanted: [Double], file: StaticString = #filePath, line: UInt = #line
  ) {
    XCTAssertEqual(values.count, wanted.count, file: file, line: line)
    for (value, want) in zip(values, wanted) {
      XCTAssertEqual(value, want, accuracy: 1e-5 * want, file: file, line: line)
    }
  }

  private func names(_ model: String) throws -> Set<String> { Set(try WeightFiles(folder: path(model)).names) }

  /// An adapter is merged into a model without a run, and taken out again.
  func testMergedAndUnmergedWithoutARun() throws {
    let golden = try Golden("gpt2")
    let (model, adapter) = (golden.modelFolder, golden.folder + "/adapter_final")
    try succeed(["export", "--model", model, "--adapter", adapter, "--format", "merged", "--output", "merged"])
    let ended = try succeed([
      "export", "--model", "merged", "--adapter", adapter, "--format", "unmerged", "--output", "base",
    ])
    XCTAssertTrue(ended.output.hasPrefix("wrote base; read back"), ended.output)
    let (first, merged, base) = (
      try WeightFiles(folder: model), try WeightFiles(folder: path("merged")), try WeightFiles(folder: path("base"))
    )
    XCTAssertEqual(Set(base.names), Set(merged.names))
    var changed = 0
    for name in base.names where name.hasSuffix("c_attn.weight") {
      func numbers(_ files: WeightFiles) throws -> [Float] {
        let file = try XCTUnwrap(files[name]).file
        return try file.floats(name)
      }
      let key = name
      guard first[key] != nil else { continue }
      XCTAssertGreaterThan(relativeDistance(try numbers(merged), try numbers(first)), 1e-3, name)
      XCTAssertLessThan(relativeDistance(try numbers(base), try numbers(first)), 1e-6, name)
      changed += 1
    }
    XCTAssertGreaterThan(changed, 0)
    // One that brings a whole projector does not say what was there before.
    let llava = try Golden("llava-clip-llama")
    try assertRefusedAlone(
      ["export", "--model", llava.modelFolder, "--adapter", llava.folder + "/adapter_final", "--format", "unmerged"],
      .badConfiguration, "whose former value it does not hold")
    try assertRefusedAlone(["export", "--model", model, "--format", "merged"], .usage, "--model goes with --adapter")
    try assertRefusedAlone(
      ["export", "--checkpoint", "x", "--format", "unmerged"], .usage, "give --model and --adapter")
  }

  /// What does not compute what it should is not left behind.
  func testWhatIsWrongWhenItIsReadBackIsRemoved() throws {
    let golden = try Golden("gpt2")
    try copy(golden.folder + "/adapter_final", to: "adapter")
    let file = path("adapter/adapter_model.safetensors")
    var tensors = try SafeTensorsFile(file).stored()
    for index in tensors.indices { tensors[index].bytes.replaceSubrange(0..<4, with: [0, 0, 0xC0, 0x7F]) }  // NaN
    try writeStored(tensors, to: file)
    for format in ["peft", "merged"] {
      try assertRefusedAlone(
        ["export", "--model", golden.modelFolder, "--adapter", path("adapter"), "--format", format], .internalError,
        "what was written gives other logits")
    }
  }

  private func assertRefusedAlone(_ arguments: [String], _ kind: Fault.Kind, _ says: String) throws {
    let ended = try run(arguments + ["--output", "refused"])
    XCTAssertEqual(ended.code, kind.rawValue, ended.errors)
    XCTAssertTrue(ended.errors.contains(says), ended.errors)
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("refused")))
  }

  func testAdapterMergedModelAndOriginalLayout() throws {
    for name in ["llava-clip-llama", "llava-siglip-qwen2"] {
      let golden = try Golden(name)
      try write("run.yaml", golden.runFile())
      try succeed(["train", "-c", "run.yaml", "--set", "output=\(name)"])
      let checkpoint = "\(name)/checkpoints/step-00000012"
      let wanted = try evaluate(golden, ["--checkpoint", checkpoint])
      XCTAssertEqual(wanted.count, golden.records.count)

      for format in ["peft", "merged", "llava"] {
        let ended = try succeed(
          ["export", "--checkpoint", checkpoint, "--format", format, "--output", "\(name)-\(format)"])
        XCTAssertTrue(ended.output.hasPrefix("wrote \(name)-\(format); read back"), ended.output)
      }
      XCTAssertEqual(
        try bytes("\(name)-peft/adapter_model.safetensors"), try bytes("\(name)/adapter/adapter_model.safetensors"))
      assertClose(try evaluate(golden, ["--adapter", "\(name)-peft"]), wanted)
      for format in ["merged", "llava"] {
        assertClose(try evaluate(golden, sets("model=\(name)-\(format)", "adapter=null")), wanted)
      }

      let hub = try names("\(name)-merged")
      XCTAssertTrue(hub.contains("language_model.model.layers.0.self_attn.q_proj.weight"), "\(hub.sorted())")
      XCTAssertTrue(hub.contains("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"), "\(hub.sorted())")
      XCTAssertTrue(hub.contains("multi_modal_projector.linear_1.weight"), "\(hub.sorted())")
      let original = try names("\(name)-llava")
      XCTAssertTrue(original.contains("model.layers.0.self_attn.q_proj.weight"), "\(original.sorted())")
      XCTAssertTrue(original.contains("model.mm_projector.2.weight"), "\(original.sorted())")
      XCTAssertEqual(hub.count, original.count)
    }
  }

  func testATextModel() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    try succeed(["train", "-c", "run.yaml"])
    let checkpoint = "run/checkpoints/step-00000012"
    try succeed(["export", "--checkpoint", checkpoint, "--format", "merged", "--output", "merged"])
    assertClose(
      try evaluate(golden, sets("model=merged", "adapter=null")), try evaluate(golden, ["--checkpoint", checkpoint]))
    XCTAssertEqual(try names("merged"), Set(try WeightFiles(folder: golden.modelFolder).names))
  }

  func testAMergedModelCanBeTrainedOn() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try succeed(["train", "-c", "run.yaml", "--set", "train.steps=2"])
    try succeed(
      ["export", "--checkpoint", "run/checkpoints/step-00000002", "--format", "merged", "--output", "merged"])
    try succeed(["train", "-c", "run.yaml"] + sets("model=merged", "adapter=null", "output=next"))
    XCTAssertEqual(try metrics("next").count, 12)
  }

  func testAWholeModelIsNoAdapter() throws {
    let golden = try Golden("llava-siglip-qwen2")
    try write("run.yaml", golden.runFile("full"))
    try succeed(["train", "-c", "run.yaml"])
    let checkpoint = "run/checkpoints/step-00000003"
    try assertRefused(
      ["export", "--checkpoint", checkpoint, "--format", "peft", "--output", "adapter"], .usage, "use --format merged")
    try succeed(["export", "--checkpoint", checkpoint, "--format", "merged", "--output", "merged"])
    assertClose(try evaluate(golden, ["--set", "model=merged"]), try evaluate(golden, ["--checkpoint", checkpoint]))
  }

  func testAveragesInPlaceOfTheWeights() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    let options = sets("train.ema.decay=0.9", "train.optimizer={name: adamw8bit}")
    try succeed(["train", "-c", "run.yaml"] + options)
    let checkpoint = "run/checkpoints/step-00000012"
    try succeed(["export", "--checkpoint", checkpoint, "--ema", "--format", "merged", "--output", "merged"])
    let averages = try evaluate(golden, options + ["--checkpoint", checkpoint, "--ema"])
    assertClose(try evaluate(golden, sets("model=merged", "adapter=null")), averages)
    let weights = try evaluate(golden, options + ["--checkpoint", checkpoint])
    XCTAssertGreaterThan(zip(weights, averages).map { abs($0 - $1) }.max() ?? 0, 1e-3)

    try succeed(["train", "-c", "run.yaml"] + sets("output=plain", "train.steps=1"))
    let plain = "plain/checkpoints/step-00000001"
    try assertRefused(
      ["export", "--checkpoint", plain, "--ema", "--format", "merged", "--output", "other"], .badConfiguration,
      "the checkpoint has no averages of the weights")
    let other = try run(["train", "-c", "run.yaml"] + options + sets("output=plain", "train.steps=2"))
    XCTAssertEqual(other.code, 78)
    let refusal = "the checkpoint is of the optimizer 'adamw', the run file asks for 'adamw8bit'"
    XCTAssertTrue(other.errorLines.last?.contains(refusal) ?? false, other.errors)
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("output=new", "train.optimizer={name: sgd, epsilon: 1.0e-8}"),
      .badConfiguration, "'train.optimizer.epsilon' means nothing to 'sgd'")
  }

  func testOneRankWritesForAll() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    try succeed(["train", "-c", "run.yaml", "--set", "train.steps=1"])
    let export = ["export", "--checkpoint", "run/checkpoints/step-00000001", "--format", "peft", "--output", "adapter"]
    let ended = try succeed(export, ranks: 3)
    XCTAssertEqual(ended.output.split(separator: "\n").count, 1, ended.output)
    XCTAssertEqual(ended.errors, "")
  }

  func testAnOutputThatIsThereIsLeftAlone() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    try succeed(["train", "-c", "run.yaml", "--set", "train.steps=1"])
    try makeFolder(path("there"))
    let ended = try run(
      ["export", "--checkpoint", "run/checkpoints/step-00000001", "--format", "peft", "--output", "there"])
    XCTAssertEqual(ended.code, 73)
    XCTAssertEqual(ended.errors, "mmdist: error: the folder is there already (there): choose another one\n")
  }
}
