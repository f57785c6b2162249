import Foundation
import Ground
import TestSupport
import XCTest

/// `bench`: the figures that it writes, and how they fit together.
final class BenchTests: ProgramTestCase {
  private func report(_ name: String) throws -> JSON { try JSON(contentsOf: path(name)) }

  private func number(_ json: JSON?, _ keys: String..., file: StaticString = #filePath, line: UInt = #line) throws
    -> Double
  {
    let found = keys.reduce(json) { $0?[$1] }
    return try XCTUnwrap(found?.double, keys.joined(separator: "."), file: file, line: line)
  }

  /// The parts add up to the step, rates are work over time, and the share is the work at the measured rates.
  private func assertFits(_ report: JSON, threads: Int, file: StaticString = #filePath, line: UInt = #line) throws {
    let step = try XCTUnwrap(report["step"], file: file, line: line)
    let seconds = try number(step, "seconds")
    XCTAssertGreaterThan(seconds, 0, file: file, line: line)
    let parts = try XCTUnwrap(step["parts"]?.object)
    XCTAssertEqual(
      Array(parts.keys), ["data", "forward", "loss", "backward", "look_ahead", "communication", "optimizer", "other"],
      file: file, line: line)
    let times = parts.values.compactMap(\.double)
    XCTAssertEqual(times.reduce(0, +), seconds, accuracy: 1e-9 * seconds, file: file, line: line)
    for (part, time) in zip(parts.keys, times) { XCTAssertGreaterThanOrEqual(time, 0, part, file: file, line: line) }
    XCTAssertLessThan(try number(step, "parts", "other"), 0.5 * seconds, file: file, line: line)
    XCTAssertEqual(
      try number(step, "tokens_per_second"), try number(step, "tokens") / seconds, accuracy: 1e-6, file: file,
      line: line)

    let products = try XCTUnwrap(report["machine"]?["products"]?.array)
    XCTAssertEqual(products.count, threads == 1 ? 2 : 4, file: file, line: line)
    func rate(_ type: String) throws -> Double {
      try number(products.last { $0["type"]?.string == type && $0["threads"]?.integer == threads }, "flop_per_second")
    }
    let work = step["matrix_work"]
    let (float32, bfloat16) = try (
      number(work, "flop_by_type", "float32"), number(work, "flop_by_type", "bfloat16")
    )
    let flop = try number(work, "flop")
    XCTAssertEqual(flop, float32 + bfloat16, file: file, line: line)
    XCTAssertGreaterThan(flop, 0, file: file, line: line)
    XCTAssertEqual(
      try number(work, "flop_per_second"), flop / seconds, accuracy: 1e-6 * flop / seconds, file: file, line: line)
    let atRate = try float32 / rate("float32") + bfloat16 / rate("bfloat16")
    XCTAssertEqual(
      try number(work, "seconds_at_measured_rate"), atRate, accuracy: 1e-9 * atRate, file: file, line: line)
    XCTAssertEqual(
      try number(work, "share_of_step"), atRate / seconds, accuracy: 1e-9, file: file, line: line)
    XCTAssertLessThanOrEqual(try number(work, "seconds"), seconds, file: file, line: line)
    for copy in try XCTUnwrap(report["machine"]?["copies"]?.array) {
      XCTAssertGreaterThan(try number(copy, "bytes_per_second"), 1e8, file: file, line: line)
    }
  }

  func testOfARunFileAloneAndOnTwoRanks() throws {
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    let arguments = ["bench", "-c", "run.yaml", "--steps", "3", "--json", "b.json"]
    let alone = try start(arguments, threads: 2).ended()
    XCTAssertEqual(alone.code, 0, alone.errors)
    let first = try report("b.json")
    try assertFits(first, threads: 2)
    XCTAssertEqual(first["ranks"], 1)
    XCTAssertEqual(first["machine"]?["sums"], [])
    XCTAssertEqual(first["step"]?["run"], "run.yaml")
    XCTAssertTrue(alone.output.contains("matrix work at the measured rate: "), alone.output)
    XCTAssertFalse(
      FileManager.default.fileExists(atPath: path("run")), "the run's own output folder is not touched")

    let both = try start(arguments + sets("train.precision=bfloat16"), ranks: 2, threads: 1).ended()
    XCTAssertEqual(both.code, 0, both.errors)
    let second = try report("b.json")
    try assertFits(second, threads: 1)
    XCTAssertEqual(second["ranks"], 2)
    let sums = try XCTUnwrap(second["machine"]?["sums"]?.array)
    XCTAssertEqual(sums.map { $0["bytes"]?.integer }, [65536, 65536, 4_194_304, 4_194_304])
    XCTAssertEqual(sums.map { $0["fixed_order"]?.bool }, [false, true, false, true])
    for sum in sums {
      XCTAssertEqual(
        try number(sum, "bytes_per_second") * number(sum, "seconds"), try number(sum, "bytes"), accuracy: 1)
    }
    XCTAssertGreaterThan(try number(second["step"], "matrix_work", "flop_by_type", "bfloat16"), 0)
  }

  func testOfTheDemoAndOfTheMachineAlone() throws {
    try succeed(["bench", "--steps", "1", "--json", "demo.json"])
    let demo = try report("demo.json")
    XCTAssertEqual(demo["step"]?["run"], "the demo")
    XCTAssertGreaterThan(try number(demo["step"], "tokens"), 32 * 64, "32 conversations about a picture of 64 tokens")
    let ended = try succeed(["bench", "--steps", "0", "--json", "machine.json"])
    XCTAssertEqual(try report("machine.json")["step"], .null)
    XCTAssertTrue(ended.output.contains("no step was asked for"), ended.output)
    XCTAssertEqual(
      try FileManager.default.contentsOfDirectory(atPath: folder).sorted(), ["demo.json", "machine.json"])
  }

  func testMoreThreadsThanCores() throws {
    let threads = ProcessInfo.processInfo.processorCount + 1
    let ended = try start(["bench", "--steps", "0"], threads: threads).ended()
    XCTAssertEqual(ended.code, 0, ended.errors)
    XCTAssertTrue(ended.errors.hasPrefix("mmdist: warning: \(threads) threads on "), ended.errors)
    XCTAssertEqual(ended.errorLines.count, 1)
  }

  func testWrongUse() throws {
    try assertRefused(["bench", "--steps", "-1"], .usage, "--steps")
    try assertRefused(["bench", "--steps", "5000"], .usage, "--steps 5000")
    try assertRefused(["bench", "-c", "none.yaml"], .missingInput, "none.yaml")
    try assertRefused(["bench", "--json", "nowhere/b.json"], .cannotWrite, "nowhere/b.json")
    try write("run.yaml", Golden("gpt2").plainRunFile)
    try assertRefused(["bench", "-c", "run.yaml"] + sets("model=./gone"), .missingInput, "gone")
  }
}
