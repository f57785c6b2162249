import Foundation
import Ground
import TestSupport
import XCTest

/// `train --profile`: a trace that the viewers can read, and a run that is the same as without.
final class TraceTests: ProgramTestCase {
  private static let setting = sets("train.steps=6", "train.global_batch=6", "checkpoint.every=3")

  private func train(_ output: String, _ arguments: String...) -> [String] {
    ["train", "-c", "run.yaml"] + TraceTests.setting + sets("output=\(output)") + arguments
  }

  func testTheSameRunAndOneFileForAllRanks() throws {
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    try succeed(train("plain"))
    for ranks in [nil, 1, 2, 3] {
      let name = ranks.map { "on-\($0)" } ?? "alone"
      let ended = try succeed(train(name, "--profile", "\(name).json"), ranks: ranks)
      XCTAssertEqual(try timelessMetrics(name), try timelessMetrics("plain"))
      XCTAssertEqual(
        try bytes("\(name)/adapter/adapter_model.safetensors"), try bytes("plain/adapter/adapter_model.safetensors"))
      XCTAssertTrue(ended.output.contains("profile of steps 2 to 4"), ended.output)
      XCTAssertTrue(ended.output.contains("\n  product F32"), ended.output)
      let trace = try JSON(contentsOf: path("\(name).json"))
      XCTAssertEqual(trace["otherData"]?["omitted_events"], 0)
      try assertIsTrace(XCTUnwrap(trace["traceEvents"]?.array), ranks: ranks ?? 1)
      let left = try FileManager.default.contentsOfDirectory(atPath: path(".")).filter { $0.hasSuffix(".writing") }
      XCTAssertEqual(left, [])
    }
  }

  /// Steps 2 to 4 of every rank, each with its phases; the checkpoint after step 3.
  private func assertIsTrace(_ events: [JSON], ranks: Int) throws {
    var threads: [String: [JSON]] = [:]
    // With others, it is there where the next pictures were ready in time.
    if ranks == 1 { XCTAssertFalse(events.contains { $0["name"] == "look ahead" }) }
    for event in events {
      let (rank, thread) = try (XCTUnwrap(event["pid"]?.integer), XCTUnwrap(event["tid"]?.integer))
      XCTAssertTrue((0..<ranks).contains(rank) && (0...1).contains(thread))
      XCTAssertNotNil(event["name"]?.string)
      XCTAssertNotNil(event["args"]?.object)
      if event["ph"] == "X" { threads["\(rank).\(thread)", default: []].append(event) }
    }
    for rank in 0..<ranks {
      let named = events.filter { $0["ph"] == "M" && $0["pid"]?.integer == rank }
      XCTAssertEqual(
        named.compactMap { $0["name"]?.string }, ["process_name", "thread_name", "thread_name"], "rank \(rank)")
      XCTAssertTrue(named[0]["args"]?["name"]?.string?.hasPrefix("rank \(rank) on ") ?? false)
      XCTAssertEqual(named[1...].compactMap { $0["args"]?["name"]?.string }, ["compute", "communication"])

      let compute = try XCTUnwrap(threads["\(rank).0"])
      let names = compute.filter { ["step", "phase"].contains($0["cat"]?.string) }.compactMap { $0["name"]?.string }
      XCTAssertEqual(names.filter { $0.hasPrefix("step") }, ["step 2", "step 3", "step 4"])
      for name in ["data wait", "forward", "loss", "backward"] {
        XCTAssertEqual(names.count(where: { $0 == name }), names.count(where: { $0 == "forward" }), name)
      }
      XCTAssertEqual(names.count(where: { $0 == "optimiser" }), 3)
      XCTAssertEqual(names.count(where: { $0 == "checkpoint" }), 1)
      try assertNests(compute)
      let product = try XCTUnwrap(compute.first { $0["name"] == "product" }?["args"])
      let shapes = try XCTUnwrap(product["shapes"]?.array).map { $0.array?.compactMap(\.integer) ?? [] }
      XCTAssertEqual(product["flop"]?.integer, 2 * shapes[0][0] * shapes[0][1] * shapes[1][1])

      let exchanges = threads["\(rank).1"] ?? []
      XCTAssertEqual(
        exchanges.compactMap { $0["name"]?.string }, ranks > 1 ? Array(repeating: "bucket 0", count: 3) : [])
      for exchange in exchanges {
        let shapes = try XCTUnwrap(exchange["args"]?["shapes"]?.array)
        XCTAssertGreaterThan(shapes.first?.array?.first?.integer ?? 0, 0)
        XCTAssertNil(exchange["args"]?["bytes"], "ranks of one node send each other nothing")
      }
      try assertNests(exchanges)
    }
  }

  /// Each event begins after the last one has ended, or lies within it; those within take no longer than it.
  private func assertNests(_ events: [JSON], file: StaticString = #filePath, line: UInt = #line) throws {
    var open: [(end: Double, left: Double)] = []
    var last = 0.0
    for event in events {
      let (start, time) = try (XCTUnwrap(event["ts"]?.double), XCTUnwrap(event["dur"]?.double))
      XCTAssertGreaterThanOrEqual(start, last, "in order of time", file: file, line: line)
      XCTAssertGreaterThanOrEqual(time, 0, file: file, line: line)
      last = start
      while let outer = open.last, outer.end <= start + 1e-6 { open.removeLast() }
      if let outer = open.last {
        XCTAssertLessThanOrEqual(start + time, outer.end + 1e-6, "\(event)", file: file, line: line)
        open[open.count - 1].left -= time
        XCTAssertGreaterThan(open[open.count - 1].left, -1e-3, "\(event)", file: file, line: line)
      }
      open.append((start + time, time))
    }
  }

  /// Steps count from where a run goes on, and a run that is stopped leaves what there is.
  func testChosenStepsAfterAResume() throws {
    try write("run.yaml", Golden("gpt2").runFile())
    try succeed(train("run") + sets("train.steps=3"))
    try succeed(train("run", "--profile", "one.json", "--profile-steps", "2"))
    let trace = try JSON(contentsOf: path("one.json"))
    XCTAssertEqual(trace["otherData"]?["first_step"], 5)
    XCTAssertEqual(trace["otherData"]?["last_step"], 5)
    let steps = trace["traceEvents"]?.array?.filter { $0["cat"] == "step" }.compactMap { $0["name"]?.string }
    XCTAssertEqual(steps, ["step 5"])
    // There is nothing left to do, and nothing to profile.
    try succeed(train("run", "--profile", "none.json"))
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("none.json")))
  }

  func testWrongUse() throws {
    try write("run.yaml", Golden("gpt2").runFile())
    try assertRefused(train("a", "--profile-steps", "2...3"), .usage, "--profile-steps needs --profile")
    for wrong in ["3...2", "0...2", "x", "1...2...3", "...", "2-3", "99999999999999999999"] {
      try assertRefused(
        train("a", "--profile", "p.json", "--profile-steps", wrong), .usage, "--profile-steps", "such as 2...4")
    }
    try assertRefused(
      train("a", "--profile", "p.json", "--profile-steps", "7...8"), .usage, "step 7", "this run does 6")
    try assertRefused(train("a", "--profile", "nowhere/p.json"), .cannotWrite, "nowhere/p.json")
    try assertRefused(train("a", "--profile", "."), .cannotWrite, "not the name of a file")
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("a/metrics.jsonl")), "it is seen before step 1")
  }

  /// A disk that fills up later does not end the run: the fault comes when it is done.
  func testAFileThatCannotBeWrittenInTheEnd() throws {
    try write("run.yaml", Golden("gpt2").runFile())
    try FileManager.default.createDirectory(atPath: path("traces"), withIntermediateDirectories: true)
    let running = try start(
      train("run", "--profile", "traces/p.json", "--profile-steps", "980")
        + sets("train.steps=1000", "checkpoint.every=500"))
    try waitForStep(1, of: "run", running)
    try FileManager.default.removeItem(atPath: path("traces"))
    let ended = try running.ended()
    XCTAssertEqual(ended.code, Fault.Kind.cannotWrite.rawValue, ended.errors)
    XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
    XCTAssertEqual(try metrics("run").count, 1000)
    XCTAssertTrue(try checkpoints("run").contains("step-00001000"))
  }
}
