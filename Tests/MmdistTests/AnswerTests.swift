import Foundation
import Ground
import TestSupport
import XCTest

/// `mmdist eval` with metrics of what the model says, and evaluation during training.
final class AnswerTests: ProgramTestCase {
  /// The golden's records with a column, and of some a list of references.
  private func writeRecords(_ golden: Golden) throws {
    let lines = try String(contentsOfFile: golden.recordsFile, encoding: .utf8).split(separator: "\n")
    let text = try lines.enumerated().map { index, line in
      var record = try JSON(parsing: String(line), at: "records").with(["patient": ["sex": index % 3 == 0 ? "f" : "m"]])
      if index == 1 { record = record.with(["answers": ["one", "two"]]) }
      return record.description + "\n"
    }.joined()
    try write("data.jsonl", text)
  }

  private func evaluate(_ golden: Golden, _ arguments: [String], ranks: Int? = nil) throws -> JSON {
    try succeed(
      ["eval", "-c", "run.yaml", "--data", "data.jsonl", "--images", golden.imagesFolder, "--output", "report.json"]
        + arguments, ranks: ranks)
    return try JSON(contentsOf: path("report.json"))
  }

  func testTheReportIsTheSameHoweverTheWorkIsShared() throws {
    let golden = try Golden("llava-siglip-qwen2")
    try write("run.yaml", golden.plainRunFile)
    try writeRecords(golden)
    let arguments = [
      "--metrics", "loss,perplexity,exact_match,anls", "--max-new-tokens", "8", "--group-by", "patient.sex",
      "--save-predictions", "said.jsonl",
    ]
    let report = try evaluate(golden, arguments)
    XCTAssertEqual(report.object?.keys.elements, ["metrics", "intervals", "groups", "fairness", "samples"])
    let loss = try XCTUnwrap(report["metrics"]?["loss"]?.double)
    XCTAssertEqual(report["metrics"]?["perplexity"]?.double ?? 0, exp(loss), accuracy: 1e-12)
    let samples = report["samples"]?.array ?? []
    XCTAssertEqual(samples.count, 14)
    XCTAssertEqual(
      samples[0].object?.keys.elements,
      [
        "index", "nll", "tokens", "question", "images", "prediction", "references", "cut_off", "exact_match", "anls",
        "groups",
      ])
    XCTAssertEqual(samples[0]["groups"], ["patient.sex": "f"])
    XCTAssertEqual(samples[1]["references"], ["one", "two"])
    XCTAssertTrue(samples.allSatisfy { $0["prediction"]?.string?.isEmpty == false })
    let mean = samples.reduce(0) { $0 + ($1["anls"]?.double ?? .nan) } / 14
    XCTAssertEqual(report["metrics"]?["anls"]?.double ?? .nan, mean, accuracy: 1e-12)
    let groups = report["groups"]?["patient.sex"]?.array ?? []
    XCTAssertEqual(groups.map { $0["value"] }, ["m", "f"])
    XCTAssertEqual(groups.map { $0["count"]?.integer }, [9, 5])
    let ofF = stride(from: 0, to: 14, by: 3).map { samples[$0] }
    let sum = { (key: String) in ofF.reduce(0) { $0 + ($1[key]?.double ?? .nan) } }
    XCTAssertEqual(groups[1]["metrics"]?["loss"]?.double ?? .nan, sum("nll") / sum("tokens"), accuracy: 1e-12)
    let said = try String(decoding: bytes("said.jsonl"), as: UTF8.self).split(separator: "\n")
    XCTAssertEqual(
      try said.map { try JSON(parsing: String($0), at: "said")["prediction"] }, samples.map { $0["prediction"] })

    XCTAssertEqual(try evaluate(golden, arguments + ["--together", "1"]), report)
    XCTAssertEqual(try evaluate(golden, arguments + ["--together", "3"], ranks: 3), report)
    XCTAssertEqual(try evaluate(golden, arguments, ranks: 2), report)
  }

  /// Half of the questions are to be answered with yes; what the model says is no "no", and so counts as yes.
  func testFairnessBetweenGroups() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.plainRunFile)
    let lines = (0..<8).map { number -> String in
      let record: JSON = [
        "messages": [
          ["role": "user", "content": .string("Is \(number) even?")],
          ["role": "assistant", "content": .string(number % 2 == 0 ? "yes" : "no")],
        ], "sex": .string(number < 5 ? "f" : "m"),
      ]
      return record.description + "\n"
    }
    try write("yes.jsonl", lines.joined())
    let arguments = [
      "eval", "-c", "run.yaml", "--data", "yes.jsonl", "--metrics", "pope", "--max-new-tokens", "3", "--group-by",
      "sex",
      "--output", "report.json",
    ]
    let ended = try succeed(
      arguments + ["--require", "fairness.demographic_parity_difference<=0.1"])
    XCTAssertTrue(ended.output.contains("demographic parity difference 0.000 [0.000, 0.000]"), ended.output)
    let fairness = try XCTUnwrap(JSON(contentsOf: path("report.json"))["fairness"])
    XCTAssertEqual(fairness["columns"]?["sex"]?["outcomes"]?.object?.keys.elements, ["yes"])
    let women = fairness["columns"]?["sex"]?["outcomes"]?["yes"]?["groups"]?.array?[0]
    XCTAssertEqual([women?["value"], women?["count"], women?["positives"]], ["f", 5, 3])
    XCTAssertEqual(women?["false_positive_rate"]?["value"], 1.0)
    try assertRefused(
      arguments + ["--require", "fairness.equalized_odds_difference>=0.5"], .badData, "found 0.0")
    try assertRefused(arguments + ["--positive", "maybe"], .usage, "no record's answer is 'maybe'")
    try assertRefused(
      [
        "eval", "-c", "run.yaml", "--data", "yes.jsonl", "--output", "r.json", "--require",
        "fairness.demographic_parity_difference<=0.1",
      ], .usage, "name their column by --group-by")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "yes.jsonl", "--output", "r.json", "--positive", "yes"], .usage, "--group-by"
    )
  }

  func testTwoEvaluationsAreCompared() throws {
    let golden = try Golden("llava-siglip-qwen2")
    try write("run.yaml", golden.plainRunFile)
    try writeRecords(golden)
    let arguments = ["--metrics", "loss,anls", "--max-new-tokens", "6", "--group-by", "patient.sex"]
    let before = try evaluate(golden, arguments)
    try copy(path("report.json"), to: "before.json")
    let after = try evaluate(golden, arguments + ["--adapter", golden.folder + "/adapter_final"])
    let compare = ["compare", "before.json", "report.json"]
    let ended = try succeed(
      compare + ["--output", "change.json", "--html", "change.html", "--require", "loss<0"])
    XCTAssertTrue(ended.output.contains("second − first"), ended.output)
    XCTAssertTrue(ended.output.contains("anls by patient.sex"), ended.output)
    let change = try JSON(contentsOf: path("change.json"))
    let losses = [before, after].map { $0["metrics"]?["loss"]?.double ?? .nan }
    XCTAssertEqual(change["metrics"]?["loss"]?.double ?? 0, losses[1] - losses[0], accuracy: 1e-12)
    XCTAssertEqual(change["differences"]?["loss"]?["first"]?.double ?? 0, losses[0], accuracy: 1e-12)
    XCTAssertEqual(change["differences"]?["anls"]?["second"], after["metrics"]?["anls"])
    XCTAssertEqual(change["groups"]?["patient.sex"]?["m"]?["count"], 9)
    let page = try String(decoding: bytes("change.html"), as: UTF8.self)
    XCTAssertTrue(page.contains("Comparison of two evaluations") && page.contains("Groups by patient.sex"))
    try assertRefused(compare + ["--require", "differences.loss.high<-100"], .badData, "differences.loss.high")
    try assertRefused(compare + ["--require", "los<0"], .usage, "did you mean 'loss'?")
    try write("other.json", before.setting("samples", to: []).description)
    try assertRefused(["compare", "before.json", "other.json"], .badData, "14 samples and 0")
    try assertRefused(["compare", "before.json", "none.json"], .missingInput, "none.json")
  }

  /// What the model says is no JSON: of no form, and without a field.
  func testStructuredReportsAreJudged() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.plainRunFile)
    let record = { (answer: String, more: String) in
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \(JSON.string(answer))}]\(more)}\n"
    }
    try write(
      "r.jsonl", record(#"{"a": 1}"#, "") + record(#"{"a": 2, "b": "x"}"#, #", "json_schema": {"type": "null"}"#))
    try write("schema.json", #"{"type": "object", "required": ["a"]}"#)
    let arguments = [
      "eval", "-c", "run.yaml", "--data", "r.jsonl", "--max-new-tokens", "3", "--output", "report.json", "--metrics",
      "json_valid,json_schema,json_fields",
    ]
    try succeed(arguments + ["--match-schema", "schema.json", "--require", "json_fields.a.f1<=0"])
    let report = try JSON(contentsOf: path("report.json"))
    XCTAssertEqual(report["metrics"]?["json_schema"], 0.0)
    XCTAssertEqual(report["metrics"]?["json_fields_recall"], 0.0)
    XCTAssertEqual(report["json_fields"]?["a"]?["wanted"], 2)
    XCTAssertEqual(report["json_fields"]?["b"]?["wanted"], 1)
    XCTAssertEqual(report["samples"]?.array?[0]["json_schema"], 0.0)
    try assertRefused(arguments, .badData, "json_schema has no schema to judge by", "r.jsonl:1")
    try write("schema.json", #"{"type": "objekt"}"#)
    try assertRefused(arguments + ["--match-schema", "schema.json"], .badConfiguration, "objekt")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "r.jsonl", "--output", "r.json", "--match-schema", "schema.json"], .usage,
      "add it to --metrics")
    try write("r.jsonl", record("no JSON", ""))
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "r.jsonl", "--output", "r.json", "--metrics", "json_fields"], .badData,
      "json_fields wants a reference that is JSON", "r.jsonl:1")
  }

  func testABoundThatIsNotKept() throws {
    let golden = try Golden("gpt2")
    try write("run.yaml", golden.plainRunFile)
    try writeRecords(golden)
    let arguments = [
      "eval", "-c", "run.yaml", "--data", "data.jsonl", "--metrics", "loss,exact_match", "--max-new-tokens", "4",
      "--output",
      "report.json", "--require",
    ]
    try assertRefused(
      arguments + ["exact_match>=0.6", "--require", "loss<1000"], .badData, "exact_match>=0.6, found 0.0")
    XCTAssertNotNil(
      try JSON(contentsOf: path("report.json"))["metrics"]?["exact_match"], "the report is written all the same")
    try assertRefused(arguments + ["exact_mach>=0.6"], .usage, "did you mean 'exact_match'?")
    try assertRefused(arguments + ["exact_match=0.6"], .usage, "is no requirement")
    try succeed(arguments + ["exact_match>=0", "--require", "loss<1000"])
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "data.jsonl", "--group-by", "age", "--output", "r.json"], .usage, "'age'")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "data.jsonl", "--image-use", "--output", "r.json"], .usage,
      "sees no pictures")
  }

  func testWhetherPicturesAreUsedAndHowOtherRecordsCompare() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.plainRunFile)
    try writeRecords(golden)
    let arguments = [
      "--metrics", "loss,exact_match", "--max-new-tokens", "4", "--image-use", "--ood", "data.jsonl", "--ood-images",
      golden.imagesFolder,
    ]
    let report = try evaluate(golden, arguments)
    let use = try XCTUnwrap(report["image_use"])
    XCTAssertEqual(use["records"]?.integer, 10)
    XCTAssertEqual(use["left_out"]?.integer, 4)
    let losses = ["right", "shuffled", "blank", "none"].compactMap { use[$0]?["loss"]?.double }
    XCTAssertEqual(Set(losses).count, 4, "\(use)")
    // The loss with the right pictures is that of the records that have some.
    let seeing = (report["samples"]?.array ?? []).enumerated().filter {
      !(6...9).contains($0.offset) && golden.records[$0.offset].images.count > 0
    }
    let sum = { (key: String) in seeing.reduce(0) { $0 + ($1.element[key]?.double ?? .nan) } }
    XCTAssertEqual(losses[0], sum("nll") / sum("tokens"), accuracy: 1e-12)
    XCTAssertEqual(use["loss_rise"]?.double ?? .nan, losses[1] - losses[0], accuracy: 1e-12)
    XCTAssertEqual(use["verdict"], "not used", "weights that nobody trained: \(use)")
    XCTAssertEqual(report["ood"]?["drop"]?["loss"]?["drop"]?.double, 0)
    XCTAssertEqual(report["ood"]?["metrics"]?["loss"], report["metrics"]?["loss"])
    XCTAssertEqual(try evaluate(golden, arguments, ranks: 2), report)
  }

  // MARK: During training

  private func runFile(_ golden: Golden, _ evaluate: String) -> String {
    golden.runFile().replacing(
      "\"max_length\": 512",
      with: "\"validation\": [{\"path\": \"data.jsonl\", \"images\": \"\(golden.imagesFolder)\"}], \"max_length\": 512"
    )
    .replacing("\"model\":", with: "\"evaluate\": \(evaluate), \"model\":")
  }

  func testATrainingThatEvaluatesIsTheSameTraining() throws {
    let golden = try Golden("llava-clip-llama")
    try writeRecords(golden)
    try write(
      "run.yaml",
      runFile(
        golden,
        #"{"every": 4, "metrics": ["loss", "exact_match"], "samples": 6, "max_new_tokens": 3, "image_use": true, "best": "loss", "probe": {"every": 3, "records": 4}}"#
      ))
    try write("plain.yaml", runFile(golden, #"{"probe": {"every": 0}}"#))
    try succeed(["train", "-c", "plain.yaml", "--set", "output=plain"])
    try succeed(["train", "-c", "run.yaml", "--set", "output=one", "checkpoint.every=5"])
    let weights = try bytes("plain/adapter/adapter_model.safetensors")
    XCTAssertEqual(try bytes("one/adapter/adapter_model.safetensors"), weights)

    let lines = try metrics("one")
    XCTAssertEqual(lines.filter { $0["evaluation"] != nil }.map { $0["step"]?.integer }, [4, 8, 12])
    XCTAssertEqual(lines.filter { $0["image_use"] != nil }.map { $0["step"]?.integer }, [3, 6, 9, 12])
    XCTAssertEqual(
      lines[3]["evaluation"]?.object?.keys.elements, ["loss", "exact_match", "image_use"])
    for line in lines {
      guard let use = line["image_use"], let right = use["right"]?.double, let other = use["shuffled"]?.double else {
        continue
      }
      XCTAssertEqual(use["gain"]?.double ?? .nan, other - right, accuracy: 1e-15)
    }
    let losses = lines.compactMap { $0["evaluation"]?["loss"]?.double }
    let best = [4, 8, 12][losses.indices.min { losses[$0] < losses[$1] } ?? 0]
    XCTAssertEqual(try JSON(contentsOf: path("one/checkpoints/best.json"))["step"]?.integer, best)
    XCTAssertEqual(
      try JSON(contentsOf: path("one/checkpoints/best/manifest.json")),
      try JSON(contentsOf: path("one/checkpoints/step-000000\(best < 10 ? "0" : "")\(best)/manifest.json")))

    // On two ranks, and gone on with from step 5, as after a crash: the same lines, the same weights, the same best step.
    let arguments = ["train", "-c", "run.yaml", "--set", "output=two", "checkpoint.every=5", "checkpoint.keep=9"]
    try succeed(arguments, ranks: 2)
    for name in try checkpoints("two") where !["step-00000004", "step-00000005"].contains(name) {
      try FileManager.default.removeItem(atPath: path("two/checkpoints/" + name))
    }
    let again = try succeed(arguments)
    XCTAssertTrue(again.output.contains("resumed after step 5"), again.output)
    XCTAssertEqual(try timelessMetrics("two"), try timelessMetrics("one"))
    XCTAssertEqual(try bytes("two/adapter/adapter_model.safetensors"), weights)
    XCTAssertEqual(try bytes("two/checkpoints/best.json"), try bytes("one/checkpoints/best.json"))
  }

  func testARunEndsEarlyAndKeepsItsBestCheckpoint() throws {
    let golden = try Golden("llava-clip-llama")
    try writeRecords(golden)
    // Nothing is ever answered rightly: the first evaluation stays the best one.
    try write(
      "run.yaml",
      runFile(
        golden,
        #"{"every": 2, "metrics": ["exact_match"], "samples": 3, "max_new_tokens": 2, "best": "exact_match", "patience": 2}"#
      ))
    let arguments = ["train", "-c", "run.yaml", "--set", "output=run", "checkpoint.every=1", "checkpoint.keep=1"]
    let ended = try succeed(arguments)
    XCTAssertTrue(ended.output.contains("ended early after step 6"), ended.output)
    XCTAssertEqual(try metrics("run").count, 6)
    XCTAssertEqual(try checkpoints("run"), ["best", "best.json", "step-00000002", "step-00000006"])
    let again = try succeed(arguments)
    XCTAssertTrue(again.output.contains("nothing is left to do"), again.output)
    XCTAssertEqual(try metrics("run").count, 6)
  }

  func testWhatCannotBeEvaluatedIsToldAtTheStart() throws {
    let golden = try Golden("gpt2")
    try writeRecords(golden)
    func refused(_ evaluate: String, _ kind: Fault.Kind, _ says: String, line: UInt = #line) throws {
      try write("run.yaml", runFile(golden, evaluate))
      try assertRefused(["train", "-c", "run.yaml"], kind, says, line: line)
      XCTAssertFalse(FileManager.default.fileExists(atPath: path("run/metrics.jsonl")))
    }
    try refused(#"{"every": 2, "metrics": ["exact_mach"]}"#, .badConfiguration, "did you mean 'exact_match'?")
    try refused(#"{"every": 2, "best": "exact_match"}"#, .badConfiguration, "evaluate.best")
    try refused(#"{"best": "loss"}"#, .badConfiguration, "evaluate.every")
    try refused(#"{"every": 2, "patience": 2}"#, .badConfiguration, "evaluate.best")
    try write("data.jsonl", #"{"conversations": [{"from": "human", "value": "Hello"}]}"# + "\n")
    try refused(#"{"every": 2}"#, .badData, "data.jsonl:1")
  }
}
