import Foundation
import Ground
import TestSupport
import XCTest

/// The same bits on any number of ranks, through a stop, a crash and a resume.
final class RanksTests: ProgramTestCase {
  /// Shuffled records with one, two and no picture, dropout, a micro-batch that is smaller than the others.
  private static let setting = sets(
    "data.shuffle=true", "train.parts.language.dropout=0.1", "adapter=null", "train.global_batch=7",
    "train.micro_batch=2", "train.seed=3", "checkpoint.every=5")

  private func train(_ output: String, steps: Int) -> [String] {
    ["train", "-c", "run.yaml"] + RanksTests.setting + sets("train.steps=\(steps)", "output=\(output)")
  }

  private func assertSameResult(_ output: String, as other: String, file: StaticString = #filePath, line: UInt = #line)
    throws
  {
    XCTAssertEqual(try timelessMetrics(output), try timelessMetrics(other), file: file, line: line)
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
      XCTAssertEqual(
        try bytes("\(output)/adapter/\(name)"), try bytes("\(other)/adapter/\(name)"), name, file: file, line: line)
    }
  }

  func testSameBitsOnAnyNumberOfRanks() throws {
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    try succeed(train("alone", steps: 8))
    XCTAssertEqual(try metrics("alone").count, 8)
    for ranks in [1, 2, 3, 4, 8] {
      let ended = try succeed(train("on-\(ranks)", steps: 8), ranks: ranks)
      try assertSameResult("on-\(ranks)", as: "alone")
      XCTAssertFalse(ended.output.contains("\u{1B}"), "plain lines where the launcher writes to a file")
      let isTold = ended.errors.contains("mmdist: warning: 8 ranks share 4 micro-batches a step")
      XCTAssertEqual(isTold, ranks > 4, ended.errors)
    }
  }

  func testSameBitsOnAnyNumberOfThreadsAndWithRecomputation() throws {
    try write("run.yaml", Golden("llava-siglip-qwen2").runFile())
    let changes = sets("train.precision=bfloat16", "train.parts.vision={train: full, learning_rate: 1.0e-3}")
    let recomputing = changes + sets("train.recompute=true")
    let runs: [(name: String, ranks: Int?, threads: Int, changes: [String])] = [
      ("plain", nil, 1, changes), ("threads", nil, 3, changes), ("recomputing", nil, 2, recomputing),
      ("both", 2, 2, recomputing),
    ]
    for run in runs {
      let ended = try start(train(run.name, steps: 5) + run.changes, ranks: run.ranks, threads: run.threads).ended()
      XCTAssertEqual(ended.code, 0, ended.errors)
      try assertSameResult(run.name, as: "plain")
    }
  }

  func testOtherSeedOrDropoutIsAnotherRun() throws {
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    try succeed(train("alone", steps: 3))
    for (name, change) in [("seed", "train.seed=4"), ("dropout", "train.parts.language.dropout=0.2")] {
      try succeed(train(name, steps: 3) + sets(change))
      XCTAssertNotEqual(try timelessMetrics(name), try timelessMetrics("alone"), change)
    }
  }

  func testStoppedByFileOnFourRanksAndResumedOnTwo() throws {
    try assertResumes { running in
      try self.write("run/STOP", "")
      return try running.ended()
    }
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("run/STOP")), "a STOP that was obeyed is removed")
  }

  func testStoppedBySignalOnFourRanksAndResumedOnTwo() throws {
    try assertResumes { running in
      try Foundation.kill(XCTUnwrap(running.rankProcesses().last), SIGUSR1)
      return try running.ended()
    }
  }

  /// A run of 160 steps on four ranks that is stopped after step 6 or soon after must go on as if it had not been.
  private func assertResumes(_ stop: (Program.Running) throws -> Program.Ended) throws {
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    try succeed(train("unstopped", steps: 160))
    let running = try start(train("run", steps: 160), ranks: 4)
    try waitForStep(6, of: "run", running)
    let ended = try stop(running)
    XCTAssertEqual(ended.code, Fault.Kind.stopped.rawValue, ended.errors)
    XCTAssertEqual(ended.errors, "")
    let done = try metrics("run").count
    XCTAssertTrue((6..<160).contains(done), "stopped after step \(done)")
    XCTAssertEqual(try checkpoints("run").last, String(format: "step-%08d", done))
    XCTAssertTrue(try timelessMetrics("unstopped").hasPrefix(timelessMetrics("run")))

    let resumed = try succeed(train("run", steps: 160), ranks: 2)
    XCTAssertTrue(resumed.output.contains("resumed after step \(done) from "), resumed.output)
    try assertSameResult("run", as: "unstopped")

    let again = try succeed(train("run", steps: 160))
    XCTAssertTrue(again.output.contains("already trained for 160 of 160 steps"), again.output)
    try assertSameResult("run", as: "unstopped")
  }

  func testAKilledRankEndsTheOthersAndTheRunCanGoOn() throws {
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    try succeed(train("unstopped", steps: 160))
    let running = try start(train("run", steps: 160), ranks: 3)
    try waitForStep(8, of: "run", running)
    let processes = try running.rankProcesses()
    XCTAssertEqual(processes.count, 3)
    let killed = ContinuousClock.now
    Foundation.kill(processes[1], SIGKILL)
    let ended = try running.ended()
    XCTAssertNotEqual(ended.code, 0)
    func isLeft(_ process: Int32) -> Bool { Foundation.kill(process, 0) == 0 }
    while processes.contains(where: isLeft), ContinuousClock.now - killed < .seconds(30) { usleep(2000) }
    XCTAssertLessThan(ContinuousClock.now - killed, .seconds(30), "the launcher and the other ranks end")
    let done = try metrics("run").count
    XCTAssertTrue((8..<160).contains(done), "killed after step \(done)")

    try succeed(train("run", steps: 160), ranks: 2)
    try assertSameResult("run", as: "unstopped")
  }

  func testAStopBeforeTheFirstStep() throws {
    try write("run.yaml", Golden("gpt2").runFile())
    try makeFolder(path("run"))
    try write("run/STOP", "")
    let ended = try run(["train", "-c", "run.yaml"], ranks: 2)
    XCTAssertEqual(ended.code, 75, ended.errors)
    XCTAssertEqual(try metrics("run").map { $0["step"] }, [1])
    XCTAssertEqual(try checkpoints("run"), ["step-00000001"])
    try succeed(["train", "-c", "run.yaml"])
    XCTAssertEqual(try metrics("run").map { $0["step"]?.integer }, Array(1...12))
  }
}
