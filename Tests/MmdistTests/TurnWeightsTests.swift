import Foundation
import Ground
import TestSupport
import XCTest

/// Turns that are trained or not, and count more or less, from the data file to the update.
final class TurnWeightsTests: ProgramTestCase {
  override func setUpWithError() throws {
    try super.setUpWithError()
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try copy(golden.imagesFolder + "/00-wide.jpg", to: "a.jpg")
  }

  /// Six conversations of four turns, with members for the first and second answer.
  private func write(_ name: String, first: (Int) -> String = { _ in "" }, second: (Int) -> String = { _ in "" }) throws
  {
    let lines = (0..<6).map { number in
      let (one, two) = (first(number), second(number))
      return #"{"image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\nQuestion \#(number)?"}, "#
        + #"{"from": "gpt", "value": "Answer \#(number)."\#(one.isEmpty ? "" : ", " + one)}, "#
        + #"{"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."\#(two.isEmpty ? "" : ", " + two)}]}"#
    }
    try write(name, lines.joined(separator: "\n"))
  }

  private func train(_ data: String, _ more: String..., ranks: Int? = nil) throws -> String {
    let output = "run-\(UUID().uuidString)"
    try succeed(
      ["train", "-c", "run.yaml"]
        + sets("data.train=[{path: \(data)}]", "output=\(output)", "train.steps=3", "train.global_batch=4")
        + more.flatMap { ["--set", $0] }, ranks: ranks)
    return try timelessMetrics(output)
  }

  private func figure(_ metrics: String, _ key: String) throws -> [Double?] {
    try metrics.split(separator: "\n").map { try JSON(parsing: String($0), at: "metrics")[key]?.double }
  }

  func testWeightsOfTurns() throws {
    try write("plain.jsonl")
    try write("ones.jsonl", first: { _ in #""weight": 1"# }, second: { _ in #""train": true, "weight": 1.0"# })
    try write("zero.jsonl", first: { _ in #""weight": 0"# })
    try write("untrained.jsonl", first: { _ in #""train": false, "weight": 3"# })
    try write("mixed.jsonl", first: { $0 % 2 == 0 ? #""weight": 0.5"# : "" }, second: { _ in #""weight": 3"# })
    let plain = try train("plain.jsonl")
    XCTAssertEqual(try figure(plain, "supervised_weight"), [nil, nil, nil])
    XCTAssertEqual(try train("ones.jsonl"), plain)
    let zero = try train("zero.jsonl")
    XCTAssertEqual(try train("untrained.jsonl"), zero)
    XCTAssertEqual(try train("plain.jsonl", "data.train_on.turns=last"), zero)
    XCTAssertNotEqual(try figure(zero, "loss"), try figure(plain, "loss"))
    let mixed = try train("mixed.jsonl")
    XCTAssertEqual(try figure(mixed, "supervised_tokens"), try figure(plain, "supervised_tokens"))
    for (found, tokens) in zip(try figure(mixed, "supervised_weight"), try figure(plain, "supervised_tokens")) {
      XCTAssertGreaterThan(try XCTUnwrap(found), try XCTUnwrap(tokens))
    }
    for ranks in [2, 3] { XCTAssertEqual(try train("mixed.jsonl", ranks: ranks), mixed, "\(ranks) ranks") }
  }

  func testRolesOfTurns() throws {
    try write("plain.jsonl")
    let answers = try figure(train("plain.jsonl"), "supervised_tokens")
    let users = try figure(train("plain.jsonl", "data.train_on.roles=[user]"), "supervised_tokens")
    let both = try figure(train("plain.jsonl", "data.train_on={roles: [assistant, user]}"), "supervised_tokens")
    for step in 0..<3 {
      XCTAssertEqual(try XCTUnwrap(both[step]), try XCTUnwrap(answers[step]) + XCTUnwrap(users[step]))
    }
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("data.train=[{path: plain.jsonl}]", "data.train_on.roles=[system]"), .badData,
      "no supervised token: no turn is the system's", "plain.jsonl:1")
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("data.train_on.roles=[]"), .badConfiguration, "names no role")
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("data.roles_to_train=[user]"), .badConfiguration, "data.train_on.roles")
  }

  /// Evaluation leaves out what is not trained, and counts everything else as 1.
  func testEvaluationCountsTokensOnce() throws {
    func evaluate(_ data: String) throws -> JSON {
      try succeed(["eval", "-c", "run.yaml", "--data", data, "--output", "report.json"])
      return try JSON(contentsOf: path("report.json"))
    }
    try write("plain.jsonl")
    try write("half.jsonl", first: { _ in #""weight": 0.5"# }, second: { _ in #""weight": 7"# })
    try write("zero.jsonl", first: { _ in #""weight": 0"# })
    let plain = try evaluate("plain.jsonl")
    XCTAssertEqual(try evaluate("half.jsonl"), plain)
    let tokens = try XCTUnwrap(plain["metrics"]?["supervised_tokens"]?.integer)
    XCTAssertLessThan(try XCTUnwrap(evaluate("zero.jsonl")["metrics"]?["supervised_tokens"]?.integer), tokens)
  }

  func testCheckShowsThem() throws {
    try write("a.jsonl", first: { _ in #""weight": 0.5"# }, second: { $0 == 0 ? #""train": false"# : #""loss": 3"# })
    let ended = try run(
      ["check", "-c", "run.yaml", "--show", "2", "--report", "r.json", "--html", "r.html"]
        + sets("data.train=[{path: a.jsonl}]"))
    XCTAssertEqual(ended.code, Fault.Kind.badData.rawValue, ended.errors)
    XCTAssertTrue(ended.output.contains("\u{1B}[33m×0.5 \u{1B}[0m\u{1B}[32mAnswer 0."), ended.output)
    XCTAssertTrue(ended.output.contains("'loss' of turn 4 is a number, not true or false"), ended.output)
    let report = try JSON(contentsOf: path("r.json"))
    XCTAssertEqual(report["counts"]?["malformed_record"]?.integer, 5)
    XCTAssertTrue(
      String(decoding: try bytes("r.html"), as: UTF8.self).contains("<span class=\"weight\">×0.5 </span>"))
  }
}
