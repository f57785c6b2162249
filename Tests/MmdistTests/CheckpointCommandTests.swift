import Foundation
import Ground
import TestSupport
import XCTest

/// `mmdist checkpoint`, damaged checkpoints, and how many of them stay.
final class CheckpointCommandTests: ProgramTestCase {
  private func trained(_ changes: String...) throws {
    try write("run.yaml", Golden("gpt2").runFile())
    try succeed(["train", "-c", "run.yaml"] + changes.flatMap { ["--set", $0] })
  }

  /// Turns one bit in the middle of a checkpoint's first shard over.
  private func flipABit(of step: String) throws {
    try change("run/checkpoints/\(step)/shard-00000.safetensors.zst") { $0[$0.count / 2] ^= 0x10 }
  }

  func testListInspectAndVerify() throws {
    try trained("checkpoint.every=6")
    let list = try succeed(["checkpoint", "list", "run"]).output.split(separator: "\n")
    XCTAssertEqual(list.count, 2)
    XCTAssertTrue(list[0].hasPrefix("step 6  ") && list[1].hasPrefix("step 12  "), "\(list)")
    XCTAssertEqual(try succeed(["checkpoint", "list", "run/checkpoints"]).output.split(separator: "\n").count, 2)

    let newest = "run/checkpoints/step-00000012"
    let shown = try succeed(["checkpoint", "inspect", newest]).output
    for words in [
      "step 12\n", "F32 [4, 48] model.transformer.h.0.attn.c_attn.lora_A.weight\n",
      "optimizer.second.transformer.h.0.attn.c_attn.lora_A.weight", "shard-00000.safetensors.zst: ",
    ] { XCTAssertTrue(shown.contains(words), "no '\(words)' in \(shown)") }
    XCTAssertTrue(try succeed(["checkpoint", "verify", newest]).output.hasSuffix(" 0 faults\n"))

    try flipABit(of: "step-00000012")
    let verified = try run(["checkpoint", "verify", newest])
    XCTAssertEqual(verified.code, 65)
    XCTAssertEqual(verified.errorLines.count, 1, verified.errors)
    XCTAssertTrue(verified.errors.hasPrefix("mmdist: error: "), verified.errors)
    XCTAssertTrue(verified.errors.contains("shard-00000.safetensors.zst"), verified.errors)
    XCTAssertEqual(verified.output.split(separator: "\n").count, 1, verified.output)
    XCTAssertTrue(verified.output.hasSuffix(" 1 faults\n"), verified.output)
    let damaged = try succeed(["checkpoint", "list", "run"]).output
    XCTAssertTrue(damaged.contains("\nstep 12  damaged: "), damaged)
  }

  func testAFolderThatIsNoCheckpoint() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    for arguments in [
      ["checkpoint", "verify", "run"], ["export", "--checkpoint", "run", "--format", "peft", "--output", "out"],
      ["eval", "-c", "run.yaml", "--data", golden.recordsFile, "--checkpoint", "run", "--output", "r.json"],
    ] {
      let ended = try run(arguments)
      XCTAssertEqual(ended.code, Fault.Kind.missingInput.rawValue, ended.errors)
      XCTAssertTrue(ended.errors.contains("not a checkpoint"), ended.errors)
      XCTAssertTrue(ended.errors.contains("name a folder step-…"), ended.errors)
    }
  }

  func testAutomaticResumePassesOverADamagedCheckpointAndSaysSo() throws {
    try trained("checkpoint.every=5")
    let (lines, adapter) = try (timelessMetrics("run"), bytes("run/adapter/adapter_model.safetensors"))
    try flipABit(of: "step-00000012")
    let ended = try succeed(["train", "-c", "run.yaml", "--set", "checkpoint.every=5"], ranks: 2)
    XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
    XCTAssertTrue(ended.errors.hasPrefix("mmdist: warning: checkpoint is not used ("), ended.errors)
    XCTAssertTrue(ended.errors.contains("step-00000012"), ended.errors)
    XCTAssertTrue(ended.output.contains("resumed after step 10 from "), ended.output)
    XCTAssertEqual(try timelessMetrics("run"), lines)
    XCTAssertEqual(try bytes("run/adapter/adapter_model.safetensors"), adapter)
    XCTAssertTrue(
      try succeed(["checkpoint", "verify", "run/checkpoints/step-00000012"]).output.hasSuffix(" 0 faults\n"))
  }

  func testANamedCheckpointThatIsDamagedIsAnError() throws {
    try trained()
    try flipABit(of: "step-00000012")
    try assertRefused(
      ["train", "-c", "run.yaml", "--resume", "run/checkpoints/step-00000012"], .badData, "shard-00000.safetensors.zst")
    try assertRefused(["train", "-c", "run.yaml", "--resume", "elsewhere"], .missingInput, "elsewhere")
  }

  func testKeep() throws {
    try trained("checkpoint.every=2", "checkpoint.keep=2")
    XCTAssertEqual(try checkpoints("run"), ["step-00000010", "step-00000012"])
  }

  func testATornLastLineOfMetricsIsWrittenAgain() throws {
    try trained("checkpoint.every=5")
    let lines = try timelessMetrics("run")
    try FileManager.default.removeItem(atPath: path("run/checkpoints/step-00000012"))
    try change("run/metrics.jsonl") { $0.removeLast(40) }
    try succeed(["train", "-c", "run.yaml", "--set", "checkpoint.every=5"])
    XCTAssertEqual(try timelessMetrics("run"), lines)
  }

  func testResumeFromANamedCheckpointAndNever() throws {
    try trained("checkpoint.every=5")
    let lines = try timelessMetrics("run")
    let ended = try succeed(["train", "-c", "run.yaml", "--resume", "run/checkpoints/step-00000005"])
    XCTAssertTrue(ended.output.contains("resumed after step 5 from "), ended.output)
    XCTAssertTrue(ended.output.contains("checkpoints after step 5 are now in \(path("run"))/earlier-1\n"), ended.output)
    XCTAssertEqual(try timelessMetrics("run"), lines)

    let anew = try succeed(["train", "-c", "run.yaml", "--resume", "never"])
    XCTAssertTrue(anew.output.contains("/run/earlier-2\n"), anew.output)
    for output in ["run", "run/earlier-1", "run/earlier-2"] {
      XCTAssertEqual(try timelessMetrics(output), lines, output)
    }
    XCTAssertEqual(try checkpoints("run/earlier-1"), ["step-00000010", "step-00000012"])
    XCTAssertEqual(try checkpoints("run/earlier-2"), ["step-00000005", "step-00000012"])
  }
}
