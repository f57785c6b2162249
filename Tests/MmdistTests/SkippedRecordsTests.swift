import Foundation
import Ground
import TestSupport
import XCTest

/// `data.on_error: skip`: training without faulty records, which are listed.
final class SkippedRecordsTests: ProgramTestCase {
  /// Good records, among them as many faulty ones as there are ways to be faulty.
  private func writeRecords(_ golden: Golden) throws {
    try copy(golden.imagesFolder + "/00-wide.jpg", to: "good.jpg")
    try copy(golden.imagesFolder + "/00-wide.jpg", to: "damaged.jpg")
    try change("damaged.jpg") { picture in
      // Whole at both ends, so that only decoding finds it: the height of the frame is 0.
      let frame = try XCTUnwrap(picture.firstRange(of: Data([0xFF, 0xC0]))).lowerBound
      picture.replaceSubrange(frame + 5..<frame + 7, with: [0, 0])
    }
    let good = (0..<7).map { number in
      #"{"image": "good.jpg", "conversations": [{"from": "human", "value": "<image>\nQuestion \#(number)?"}, "#
        + #"{"from": "gpt", "value": "Answer \#(number * number)."}], "site": "s\#(number)"}"#
    }
    let bad = [
      #"{"conversations": [}"#,
      good[0].replacingOccurrences(of: "good.jpg", with: "none.jpg"),
      good[0].replacingOccurrences(of: "good.jpg", with: "damaged.jpg"),
      #"{"conversations": [{"from": "human", "value": "q"}]}"#,
    ]
    try write("good.jsonl", good.joined(separator: "\n"))
    try write(
      "all.jsonl", ([bad[0], good[0], good[1], bad[1], bad[2]] + good[2...] + [bad[3]]).joined(separator: "\n"))
  }

  func testItTrainsAsIfTheyWereNotThereAndListsThem() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try writeRecords(golden)
    func train(_ data: String, _ output: String, ranks: Int? = nil) throws -> Program.Ended {
      try succeed(
        ["train", "-c", "run.yaml"]
          + sets(
            "data.train=[{path: \(data)}]", "data.on_error=skip", "data.shuffle=true", "output=\(output)",
            "train.steps=5", "train.global_batch=3"),
        ranks: ranks)
    }
    _ = try train("good.jsonl", "clean")
    XCTAssertEqual(try bytes("clean/skipped.jsonl"), Data())
    for (output, ranks) in [("one", nil), ("two", 2)] {
      let ended = try train("all.jsonl", output, ranks: ranks)
      XCTAssertTrue(ended.errors.contains("warning: 4 of 11 records are faulty"), ended.errors)
      XCTAssertEqual(try timelessMetrics(output), try timelessMetrics("clean"))
      let lines = try String(decoding: bytes("\(output)/skipped.jsonl"), as: UTF8.self).split(separator: "\n").map {
        try JSON(parsing: String($0), at: "skipped.jsonl")
      }
      XCTAssertEqual(lines.map { $0["index"]?.integer }, [0, 3, 4, 10])
      XCTAssertEqual(lines.map { $0["place"]?.string }, [1, 4, 5, 11].map { path("all.jsonl:\($0)") })
      for (line, words) in zip(lines, ["not valid JSON", "missing image file", "damaged.jpg", "no turn is"]) {
        XCTAssertTrue(line["reason"]?.string?.contains(words) == true, "\(line)")
      }
    }
  }

  func testARunLeavesThemOutOfItsHeldOutRecords() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try writeRecords(golden)
    func train(_ validation: String, ranks: Int? = nil) throws -> Program.Ended {
      try succeed(
        ["train", "-c", "run.yaml"]
          + sets(
            "data.train=[{path: good.jsonl}]", "data.validation=[{path: \(validation).jsonl}]", "data.on_error=skip",
            "output=\(validation)", "train.steps=4", "train.global_batch=3", "evaluate.every=2",
            "evaluate.metrics=[loss]"),
        ranks: ranks)
    }
    XCTAssertEqual(try train("good").errors, "")
    let clean = try timelessMetrics("good")
    XCTAssertTrue(clean.contains("evaluation"), clean)
    for ranks in [nil, 2] {
      try? FileManager.default.removeItem(atPath: path("all"))
      let ended = try train("all", ranks: ranks)
      XCTAssertTrue(ended.errors.contains("4 of 11 held-out records are faulty and are left out"), ended.errors)
      XCTAssertEqual(try timelessMetrics("all"), clean)
    }
  }

  func testEvaluationLeavesThemOutAndListsThem() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.plainRunFile)
    try writeRecords(golden)
    func evaluate(_ data: String, ranks: Int? = nil) throws -> (report: JSON, ended: Program.Ended) {
      let ended = try succeed(
        ["eval", "-c", "run.yaml", "--data", data, "--output", "r.json", "--group-by", "site"]
          + sets("data.on_error=skip"), ranks: ranks)
      return (try JSON(contentsOf: path("r.json")), ended)
    }
    let clean = try evaluate("good.jsonl").report
    XCTAssertNil(clean["skipped"])
    let (report, ended) = try evaluate("all.jsonl")
    XCTAssertTrue(ended.errors.contains("warning: 4 of 11 records are faulty and are left out"), ended.errors)
    XCTAssertEqual(try evaluate("all.jsonl", ranks: 3).report, report)
    for key in ["metrics", "groups"] { XCTAssertEqual(report[key], clean[key], key) }
    func samples(_ report: JSON, _ key: String) -> [JSON?] { (report["samples"]?.array ?? []).map { $0[key] } }
    XCTAssertEqual(samples(report, "nll"), samples(clean, "nll"))
    XCTAssertEqual(samples(report, "index"), [1, 2, 5, 6, 7, 8, 9])
    let skipped = report["skipped"]?.array ?? []
    XCTAssertEqual(skipped.map { $0["index"]?.integer }, [0, 3, 4, 10])
    XCTAssertEqual(skipped.map { $0["place"]?.string }, [1, 4, 5, 11].map { "all.jsonl:\($0)" })
    XCTAssertTrue(skipped[2]["reason"]?.string?.contains("damaged.jpg") == true, "\(skipped)")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "all.jsonl", "--output", "r.json"], .badData, "not valid JSON", "all.jsonl:1"
    )
    try write("none.jsonl", #"{"conversations": []}"#)
    let none = try run(
      ["eval", "-c", "run.yaml", "--data", "none.jsonl", "--output", "r.json"] + sets("data.on_error=skip"))
    XCTAssertEqual(none.code, Fault.Kind.badData.rawValue)
    XCTAssertTrue(none.errors.contains("every record is faulty: empty conversation"), none.errors)
  }

  func testEmbeddingsLeaveThemOutWhereTold() throws {
    let golden = try Golden("llava-clip-llama")
    try writeRecords(golden)
    func embed(_ data: String, ranks: Int? = nil) throws -> Data {
      try succeed(
        ["embed", "--model", golden.modelFolder, "--data", data, "--on-error", "skip", "--output", data + ".out"],
        ranks: ranks)
      return try bytes(data + ".out/embeddings.npy")
    }
    let clean = try embed("good.jsonl")
    // A question without an answer has an embedding.
    let lines = try String(decoding: bytes("all.jsonl"), as: UTF8.self).split(separator: "\n")
    try write("all.jsonl", lines.dropLast().joined(separator: "\n"))
    for ranks in [nil, 2] {
      XCTAssertEqual(try embed("all.jsonl", ranks: ranks), clean)
      let skipped = try String(decoding: bytes("all.jsonl.out/skipped.jsonl"), as: UTF8.self).split(separator: "\n")
      XCTAssertEqual(
        try skipped.map { try JSON(parsing: String($0), at: "skipped")["index"]?.integer }, [0, 3, 4])
    }
    XCTAssertEqual(try bytes("good.jsonl.out/skipped.jsonl"), Data())
    try assertRefused(
      ["embed", "--model", golden.modelFolder, "--data", "all.jsonl", "--output", "out"], .badData, "all.jsonl:1")
  }

  func testRetrievalLeavesThemOut() throws {
    let golden = try PairGolden("clip")
    let (pictures, captions) = (try golden.pictures, try golden.captions)
    try write(
      "run.yaml",
      "model: \(golden.golden.modelFolder)\ndata: {train: [{path: good.jsonl, images: \(Golden.fixtures)/images}]}\n")
    let good = (0..<5).map { number in
      JSON.object(["image": .string(pictures[number]), "text": .string(captions[number])]).description
    }
    try write("good.jsonl", good.joined(separator: "\n"))
    try write(
      "all.jsonl",
      (good[..<2] + [#"{"image": "none.jpg", "text": "x"}"#] + good[2...] + [#"{"image": "a.jpg"}"#]).joined(
        separator: "\n"))
    func evaluate(_ data: String) throws -> JSON {
      try succeed(
        ["eval", "-c", "run.yaml", "--data", data, "--images", Golden.fixtures + "/images", "--output", "r.json"]
          + sets("data.on_error=skip"))
      return try JSON(contentsOf: path("r.json"))
    }
    let (clean, report) = (try evaluate("good.jsonl"), try evaluate("all.jsonl"))
    XCTAssertEqual(report["metrics"], clean["metrics"])
    XCTAssertEqual((report["samples"]?.array ?? []).map { $0["index"]?.integer }, [0, 1, 3, 4, 5])
    XCTAssertEqual((report["skipped"]?.array ?? []).map { $0["index"]?.integer }, [2, 6])
  }

  func testNothingLeftIsAFault() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try write("none.jsonl", #"{"conversations": []}"#)
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("data.train=[{path: none.jsonl}]", "data.on_error=skip"), .badData,
      "every record of the file is faulty", "none.jsonl:1")
  }

  func testFaultyTextsWithLabels() throws {
    let golden = try Golden("bert")
    try write("run.yaml", "model: \(golden.modelFolder)")
    let good = (0..<6).map { #"{"text": "text number \#($0)", "label": \#($0 % 3)}"# }
    try write("good.jsonl", good.joined(separator: "\n"))
    try write("all.jsonl", (good[..<3] + [#"{"text": "no label"}"#] + good[3...]).joined(separator: "\n"))
    func train(_ data: String) throws -> Program.Ended {
      try succeed(
        ["train", "-c", "run.yaml"]
          + sets(
            "data.train=[{path: \(data)}]", "data.on_error=skip", "data.problem=single_label",
            "train.parts.language={train: full}", "train.steps=3", "train.global_batch=4", "output=\(data).run"),
        ranks: 2)
    }
    _ = try train("good.jsonl")
    let ended = try train("all.jsonl")
    XCTAssertTrue(ended.errors.contains("warning: 1 of 7 records are faulty"), ended.errors)
    XCTAssertEqual(try timelessMetrics("all.jsonl.run"), try timelessMetrics("good.jsonl.run"))
    try succeed(
      ["eval", "-c", "run.yaml", "--data", "all.jsonl", "--output", "r.json"]
        + sets("data.train=[{path: good.jsonl}]", "data.on_error=skip", "data.problem=single_label"))
    let report = try JSON(contentsOf: path("r.json"))
    XCTAssertEqual((report["samples"]?.array ?? []).map { $0["index"]?.integer }, [0, 1, 2, 4, 5, 6])
    XCTAssertEqual((report["skipped"]?.array ?? []).map { $0["index"]?.integer }, [3])
    XCTAssertTrue(
      try String(decoding: bytes("all.jsonl.run/skipped.jsonl"), as: UTF8.self).contains("no 'label'"))
  }
}
