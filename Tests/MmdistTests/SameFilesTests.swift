import Demo
import Foundation
import Ground
import TestSupport
import XCTest

/// Ranks that find other files under the same names, as on hosts with copies of their own, or while a file is replaced.
final class SameFilesTests: ProgramTestCase {
  /// Makes the folder that the last rank works in, with these files of the test's folder.
  private func makeOther(_ names: String...) throws {
    try makeFolder(path("other"))
    for name in names { try copy(path(name), to: "other/" + name) }
  }

  /// Runs on two ranks of which one works in the other folder, and wants one line that holds `says`.
  private func assertRefused(
    _ arguments: [String], _ says: String..., file: StaticString = #filePath, line: UInt = #line
  ) throws {
    let ended = try start(arguments, ranks: 2, lastRankIn: "other").ended(file: file, line: line)
    XCTAssertEqual(ended.code, Fault.Kind.inputOutput.rawValue, ended.errors, file: file, line: line)
    XCTAssertEqual(ended.errorLines.count, 1, ended.errors, file: file, line: line)
    for words in says {
      XCTAssertTrue(ended.errors.contains(words), "no '\(words)' in: \(ended.errors)", file: file, line: line)
    }
  }

  @discardableResult
  private func succeedApart(_ arguments: [String], file: StaticString = #filePath, line: UInt = #line) throws
    -> Program.Ended
  {
    let ended = try start(arguments, ranks: 2, lastRankIn: "other").ended(file: file, line: line)
    XCTAssertEqual(ended.code, 0, ended.errors, file: file, line: line)
    return ended
  }

  // MARK: Weights

  /// One bit of one weight is enough, in every command that reads an adapter.
  func testOtherAdaptersAreTold() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try copy(golden.folder + "/adapter_final", to: "adapter")
    try makeOther("run.yaml", "adapter")
    let data = ["--data", golden.recordsFile, "--images", golden.imagesFolder]
    let commands = [
      ["eval", "-c", "run.yaml", "--adapter", "adapter", "--output", "r.json"] + data,
      ["embed", "--model", golden.modelFolder, "--adapter", "adapter", "--output", path("embedded")] + data,
      ["drift", "-c", "run.yaml", "--other-weights", "adapter", "--max-new-tokens", "0", "--output", "d.json"] + data,
    ]
    for command in commands { try succeedApart(command) }
    try change("other/adapter/adapter_model.safetensors") { $0[$0.count - 3] ^= 1 }
    for command in commands {
      try assertRefused(
        command, "rank 1 on ", " has read other weights than rank 0 on ",
        "(adapter): start again while nothing writes there")
    }
  }

  /// `checkpoints/best` moves while a run goes on: the ranks follow the link that rank 0 sees.
  func testAllRanksTakeTheCheckpointThatRank0Finds() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.runFile())
    try succeed(["train", "-c", "run.yaml"] + sets("train.steps=4", "checkpoint.every=2", "checkpoint.keep=9"))
    try makeOther("run.yaml", "run")
    let link = "run/checkpoints/best"
    for (place, step) in [("", 4), ("other/", 2)] {
      try FileManager.default.createSymbolicLink(
        atPath: path(place + link), withDestinationPath: "step-0000000\(step)")
    }
    func eval(_ checkpoint: String, _ output: String) -> [String] {
      ["eval", "-c", "run.yaml", "--checkpoint", checkpoint, "--data", golden.recordsFile, "--output", output]
    }
    try succeed(eval("run/checkpoints/step-00000004", "named.json"), ranks: 2)
    for name in [link, link + "/"] {
      try succeedApart(eval(name, "linked.json"))
      XCTAssertEqual(try bytes("linked.json"), try bytes("named.json"))
    }
    let longer = ["train", "-c", "run.yaml"] + sets("train.steps=6", "checkpoint.every=2")
    let resumed = try succeedApart(longer + sets("output=\(folder)/again") + ["--resume", link])
    XCTAssertTrue(resumed.output.contains("resumed after step 4 from run/checkpoints/step-00000004"), resumed.output)
  }

  // MARK: Records

  func testOtherRecordsAreToldByEveryCommand() throws {
    let golden = try Golden("llava-clip-llama")
    try copy(golden.recordsFile, to: "data.jsonl")
    try write("run.yaml", golden.runFile().replacingOccurrences(of: golden.recordsFile, with: "data.jsonl"))
    try makeOther("run.yaml", "data.jsonl")
    let lines = try String(decoding: bytes("data.jsonl"), as: UTF8.self).split(separator: "\n")
    let images = ["--images", golden.imagesFolder]
    let held = sets("data.validation=[{path: data.jsonl, images: \(golden.imagesFolder)}]")
    let commands = [
      ["check", "-c", "run.yaml"],
      ["eval", "-c", "run.yaml", "--output", "r.json"] + held,
      ["embed", "--model", golden.modelFolder, "--data", "data.jsonl", "--output", path("embedded")] + images,
      ["drift", "-c", "run.yaml", "--data", "data.jsonl", "--max-new-tokens", "0", "--other-weights", "base"]
        + ["--output", "d.json"] + images,
    ]
    for command in commands { try succeedApart(command) }
    try write("other/data.jsonl", lines.dropLast().joined(separator: "\n") + "\n")
    for command in commands {
      try assertRefused(
        command, "rank 1 on ", " sees \(lines.count - 1) records, rank 0 on ",
        " \(lines.count) (", "data.jsonl): start again")
    }
    try write("other/data.jsonl", lines.joined(separator: "\n") + "\n\n")
    for command in commands { try assertRefused(command, " sees other files than rank 0 on ", "data.jsonl): ") }
  }

  // MARK: The demo

  /// Where the run file is, a later start draws nothing: it must not be there before all pictures are.
  func testTheDemosRunFileComesWhenAllRanksHaveDrawn() throws {
    try makeOther()
    try write("other/mmdist-demo", "in the way")
    let ended = try start(["train"], ranks: 2, lastRankIn: "other").ended()
    XCTAssertEqual(ended.code, Fault.Kind.cannotWrite.rawValue, ended.errors)
    XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
    let made = try FileManager.default.contentsOfDirectory(atPath: path("mmdist-demo")).sorted()
    XCTAssertEqual(made, ["held-out.jsonl", "images", "model", "train.jsonl"])
  }

  /// A demo that one rank alone sees is drawn by all.
  func testRank0LooksForTheDemo() throws {
    try makeOther()
    try writeDemo(to: path("other/mmdist-demo"), trainingPictures: 8)
    // In a folder of its own the other rank comes no further than to the run file, whose paths are others there.
    let ended = try start(["train"], ranks: 2, lastRankIn: "other").ended()
    XCTAssertEqual(ended.code, Fault.Kind.badConfiguration.rawValue, ended.errors)
    XCTAssertTrue(ended.errors.contains("has another run file"), ended.errors)
    let drawn = try FileManager.default.contentsOfDirectory(atPath: path("other/mmdist-demo/images")).count
    XCTAssertGreaterThan(drawn, 2000)
  }
}
