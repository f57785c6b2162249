import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// `mmdist similarity` and `mmdist check` with dual encoders.
final class PairTests: ProgramTestCase {
  private func images(_ golden: PairGolden) throws -> [String] {
    try golden.pictures.map { golden.golden.imagesFolder + "/" + $0 }
  }

  /// Logits and probabilities of every picture with every caption, equal to transformers'.
  func testSimilarity() throws {
    for name in PairGolden.names {
      let golden = try PairGolden(name)
      let (images, captions) = (try images(golden), try golden.captions)
      let arguments =
        ["similarity", "--model", golden.golden.modelFolder, "--image"] + images + ["--text"] + captions
      let json = try JSON(parsing: succeed(arguments + ["--json"]).output, at: "standard output")
      XCTAssertEqual(json["images"]?.array?.compactMap(\.string), images)
      XCTAssertEqual(json["texts"]?.array?.compactMap(\.string), captions)
      for (key, wanted) in [("logits", "logits"), ("probabilities", "probabilities")] {
        let found = (json[key]?.array ?? []).flatMap { ($0.array ?? []).compactMap(\.double) }
        let wanted = try golden.golden.floats(wanted)
        XCTAssertEqual(found.count, wanted.count)
        for (found, wanted) in zip(found, wanted) {
          XCTAssertEqual(found, Double(wanted), accuracy: 2e-5, "\(name) \(key)")
        }
      }
      let lines = try succeed(arguments).output.split(separator: "\n", omittingEmptySubsequences: false)
      XCTAssertEqual(lines.count, 12 * 13 + 1)
      XCTAssertEqual(String(lines[0]), images[0])
      let first = Double(try golden.golden.floats("probabilities")[0])
      XCTAssertEqual(Double(lines[1].split(separator: " ")[0]) ?? .nan, first, accuracy: 2e-5)
      XCTAssertTrue(lines[1].hasSuffix("  " + captions[0]), String(lines[1]))
    }
  }

  func testSimilarityOfWhatCannotBe() throws {
    let golden = try PairGolden("clip")
    let picture = try images(golden)[0]
    let model = golden.golden.modelFolder
    func refused(_ arguments: [String], _ kind: Fault.Kind, _ says: String) throws {
      let ended = try run(["similarity"] + arguments)
      XCTAssertEqual(ended.code, kind.rawValue, ended.errors)
      XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
      XCTAssertTrue(ended.errors.contains(says), ended.errors)
    }
    try refused(["--model", model, "--image", picture], .usage, "--text")
    try refused(["--model", model, "--image", path("none.jpg"), "--text", "a"], .missingInput, "none.jpg")
    let llava = try Golden("llava-list").modelFolder
    try refused(["--model", llava, "--image", picture, "--text", "a"], .badConfiguration, "space")
    try write("text.jpg", "no picture")
    try refused(["--model", model, "--image", path("text.jpg"), "--text", "a"], .badData, "text.jpg")
  }

  private func check(_ name: String, _ data: String, file: String = "data.jsonl") throws -> Program.Ended {
    let golden = try PairGolden(name)
    try write(file, data)
    try write(
      "run.yaml",
      """
      model: \(golden.golden.modelFolder)
      output: \(path("out"))
      data: {train: [{path: \(file), images: \(golden.golden.imagesFolder)}]}
      """)
    return try run(["check", "-c", "run.yaml", "--show", "1", "--report", "report.json"])
  }

  func testCheckOfPairs() throws {
    let good = try String(contentsOfFile: PairGolden.recordsFile, encoding: .utf8)
    for name in PairGolden.names {
      let ended = try check(name, good)
      XCTAssertEqual(ended.code, 0, ended.errors + ended.output)
      XCTAssertTrue(ended.output.contains("12 records, 0 errors"), ended.output)
      XCTAssertTrue(ended.output.contains("A wide picture"), ended.output)
    }
    let table = "image,text\n00-wide.jpg,\"one, two\"\n01-tall.jpg,three\n"
    XCTAssertTrue(try check("clip", table, file: "data.csv").output.contains("2 records, 0 errors"))
    let bad = """
      {"image": "00-wide.jpg", "text": ["one", "another"]}
      {"image": "00-wide.jpg"}
      {"image": "none.jpg", "text": "a"}
      {"image": "00-wide.jpg", "text": []}
      {"image": "../escape.jpg", "text": "a"}
      {"image": ["00-wide.jpg"], "text": "a"}
      {"image": "00-wide.jpg", "text": [1]}
      {"image": "00-wide.jpg", "text": "\(String(repeating: "word ", count: 40))"}
      [1]
      """
    let ended = try check("clip", bad)
    XCTAssertEqual(ended.code, 65)
    XCTAssertTrue(ended.output.contains("9 records, 7 errors, 1 warning"), ended.output)
    XCTAssertTrue(
      ended.output.contains("a caption is longer than 16 tokens: the end is cut off (data.jsonl:8)"), ended.output)
    let faults = try JSON(contentsOf: path("report.json"))["faults"]?.array ?? []
    let errors = faults.filter { $0["severity"] == "error" }
    XCTAssertEqual(errors.compactMap { $0["line"]?.integer }, [2, 3, 4, 5, 6, 7, 9])
  }

  // MARK: Evaluation

  /// Evaluates records over the pictures of a golden, alone and on three ranks: the same report.
  private func evaluate(_ golden: PairGolden, _ data: String, _ more: [String] = []) throws -> JSON {
    try write("data.jsonl", data)
    try write(
      "run.yaml",
      """
      model: \(golden.golden.modelFolder)
      output: \(path("out"))
      data: {train: [{path: data.jsonl, images: \(golden.golden.imagesFolder)}]}
      train: {precision: float32}
      """)
    let arguments = ["eval", "-c", "run.yaml", "--data", "data.jsonl", "--images", golden.golden.imagesFolder] + more
    try succeed(arguments + ["--output", "report.json"])
    try succeed(arguments + ["--output", "other.json"], ranks: 3)
    XCTAssertEqual(try bytes("report.json"), try bytes("other.json"))
    return try JSON(contentsOf: path("report.json"))
  }

  /// Places and shares from the reference's logits, with several captions for a picture in one record and in two.
  func testRetrieval() throws {
    for name in PairGolden.names {
      let golden = try PairGolden(name)
      let (pictures, captions) = (try golden.pictures, try golden.captions)
      let logits = try golden.golden.floats("logits")
      // Captions of pictures 0 … 8: of the first two from two records, of the third two in a list.
      let records: [(picture: Int, captions: [Int])] =
        [(0, [0]), (1, [1]), (2, [2, 9]), (0, [10]), (3, [3]), (1, [11])] + (4..<9).map { ($0, [$0]) }
      let lines = records.map { record -> String in
        let texts = record.captions.map { JSON.string(captions[$0]) }
        return JSON.object([
          "image": .string(pictures[record.picture]), "text": texts.count == 1 ? texts[0] : .array(texts),
        ]).description
      }
      let report = try evaluate(golden, lines.joined(separator: "\n"))
      let owner = Dictionary(uniqueKeysWithValues: records.flatMap { r in r.captions.map { ($0, r.picture) } })
      func logit(_ picture: Int, _ caption: Int) -> Float { logits[picture * 12 + caption] }
      func pictureFinds(_ picture: Int) -> Int {
        let best = (0..<12).filter { owner[$0] == picture }.map { logit(picture, $0) }.max() ?? 0
        return 1 + (0..<12).count { owner[$0] != picture && logit(picture, $0) >= best }
      }
      func captionFinds(_ caption: Int) -> Int {
        let own = owner[caption] ?? 0
        return 1 + (0..<9).count { $0 != own && logit($0, caption) >= logit(own, caption) }
      }
      for (sample, record) in zip(report["samples"]?.array ?? [], records) {
        XCTAssertEqual(sample["image_to_text"]?.integer, pictureFinds(record.picture))
        XCTAssertEqual(sample.integers("text_to_image"), record.captions.map(captionFinds))
      }
      XCTAssertEqual(report["samples"]?.array?.count, records.count)
      XCTAssertEqual([report["pictures"]?.integer, report["captions"]?.integer], [9, 12])
      for most in [1, 5, 10] {
        let pictures = Double((0..<9).count { pictureFinds($0) <= most }) / 9
        let captions = Double((0..<12).count { captionFinds($0) <= most }) / 12
        XCTAssertEqual(report["metrics"]?["image_to_text_r\(most)"]?.double, pictures, "\(name) \(most)")
        XCTAssertEqual(report["metrics"]?["text_to_image_r\(most)"]?.double, captions, "\(name) \(most)")
      }
    }
  }

  func testZeroShotClassification() throws {
    let golden = try PairGolden("clip")
    let (pictures, captions) = (try golden.pictures, try golden.captions)
    let probabilities = try golden.golden.floats("probabilities")
    let lines = zip(pictures, captions).map { JSON.object(["image": .string($0), "label": .string($1)]).description }
    let data = lines.joined(separator: "\n")
    let classes: JSON = ["classes": .array(captions.map(JSON.string)), "templates": ["{}"]]
    try write("classes.json", classes.description)
    let report = try evaluate(golden, data, ["--metrics", "zero_shot", "--classes", "classes.json"])
    let samples = report["samples"]?.array ?? []
    XCTAssertEqual(samples.count, 12)
    var right = 0
    for (index, sample) in samples.enumerated() {
      let row = Array(probabilities[index * 12..<(index + 1) * 12])
      let best = row.indices.max { row[$0] < row[$1] } ?? 0
      XCTAssertEqual(sample["prediction"]?.string, captions[best])
      XCTAssertEqual(sample["label"]?.string, captions[index])
      XCTAssertEqual(sample["probability"]?.double ?? .nan, Double(row[best]), accuracy: 2e-5)
      XCTAssertEqual(sample["place"]?.integer, 1 + row.count { $0 > row[index] })
      if best == index { right += 1 }
    }
    XCTAssertEqual(report["metrics"]?["accuracy"]?.double, Double(right) / 12)
    XCTAssertNotNil(report["metrics"]?["macro_f1"]?.double)
    // Both at once need both columns; a class that is not known is a fault.
    let wrong = data + "\n{\"image\": \"\(pictures[0])\", \"label\": \"unheard of\"}"
    try write("data.jsonl", wrong)
    let ended = try run([
      "eval", "-c", "run.yaml", "--data", "data.jsonl", "--images", golden.golden.imagesFolder, "--metrics",
      "zero_shot",
      "--classes", "classes.json", "--output", "report.json",
    ])
    XCTAssertEqual(ended.code, 65)
    XCTAssertTrue(ended.errors.contains("unknown class 'unheard of'") && ended.errors.contains("data.jsonl:13"))
    try assertRefused(
      ["eval", "-c", "run.yaml", "--data", "data.jsonl", "--classes", "classes.json", "--output", "r.json"], .usage,
      "classes are of the metric zero_shot")
    // Without a file the classes are the labels in the data.
    XCTAssertEqual(
      try evaluate(golden, data, ["--metrics", "zero_shot"])["classes"]?.array?.compactMap(\.string),
      captions.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
  }

  // MARK: Training

  /// Twelve steps through the program, on three ranks from the middle, exported both ways.
  func testTrainingThroughTheProgram() throws {
    for name in PairGolden.names {
      let golden = try PairGolden(name)
      try write("run.yaml", golden.golden.runFile())
      let train = ["train", "-c", "run.yaml"] + sets("checkpoint.every=6")
      try succeed(train + sets("output=\(name)"))
      let wanted = golden.json["lora"]?["steps"]?.array ?? []
      let found = try metrics(name)
      XCTAssertEqual(found.count, 12)
      for (found, wanted) in zip(found, wanted) {
        let loss = wanted["loss"]?.double ?? .nan
        XCTAssertEqual(found["loss"]?.double ?? .nan, loss, accuracy: 1e-5 * loss)
      }
      let first = "\(name)/checkpoints/step-00000006"
      try succeed(train + sets("output=other-\(name)") + ["--resume", first], ranks: 3)
      for file in ["adapter_model.safetensors", "adapter_config.json"] {
        XCTAssertEqual(try bytes("\(name)/adapter/\(file)"), try bytes("other-\(name)/adapter/\(file)"), name)
      }
      let last = "\(name)/checkpoints/step-00000012"
      try succeed(["export", "--checkpoint", last, "--format", "peft", "--output", "\(name)-peft"])
      try succeed(["export", "--checkpoint", last, "--format", "merged", "--output", "\(name)-merged"])
      let what = [
        "--image", golden.golden.imagesFolder + "/00-wide.jpg", "--text", "a picture", "something else", "--json",
      ]
      let adapted = try succeed(
        ["similarity", "--model", golden.golden.modelFolder, "--adapter", "\(name)-peft"] + what)
      let merged = try succeed(["similarity", "--model", "\(name)-merged"] + what)
      let tables = try [adapted, merged].map { try JSON(parsing: $0.output, at: "standard output") }
      let rows = tables.map { ($0["logits"]?.array?.first?.array ?? []).compactMap(\.double) }
      XCTAssertEqual(rows[0].count, 2)
      for (a, b) in zip(rows[0], rows[1]) { XCTAssertEqual(a, b, accuracy: 1e-4) }
      // The layout of the Hub, the scale a number without dimensions as CLIP's.
      let file = try SafeTensorsFile(path("\(name)-merged/model.safetensors"))
      XCTAssertEqual(
        Set(file.entries.keys), try Set(SafeTensorsFile(golden.golden.modelFolder + "/model.safetensors").entries.keys))
      XCTAssertEqual(try file.shape("logit_scale"), name == "clip" ? [] : [1])
    }
  }

  /// Of several captions another one is drawn as the steps go on, the same on any number of ranks.
  func testOneOfSeveralCaptionsIsDrawn() throws {
    let golden = try PairGolden("clip")
    let captions = try golden.captions
    let lines = try golden.pictures.enumerated().map { number, picture in
      JSON.object([
        "image": .string(picture), "text": .array((0..<3).map { .string(captions[(number + $0 * 4) % 12]) }),
      ]).description
    }
    try write("pairs.jsonl", lines.joined(separator: "\n"))
    try write("run.yaml", golden.golden.runFile())
    let train =
      ["train", "-c", "run.yaml"]
      + sets("train.steps=4", "data.train.0.path=\(path("pairs.jsonl"))", "train.global_batch=12")
    try succeed(train + sets("output=alone"))
    try succeed(train + sets("output=two"), ranks: 2)
    XCTAssertEqual(try timelessMetrics("alone"), try timelessMetrics("two"))
    let tokens = try metrics("alone").compactMap { $0["tokens"]?.integer }
    XCTAssertGreaterThan(Set(tokens).count, 1, "every epoch has the same captions: \(tokens)")
  }

  /// Embeddings of both towers, and what the projections make of pictures.
  func testEmbeddings() throws {
    let golden = try PairGolden("clip")
    let common = [
      "embed", "--model", golden.golden.modelFolder, "--data", PairGolden.recordsFile, "--images",
      golden.golden.imagesFolder, "--pool", "mean",
    ]
    try succeed(common + ["--part", "projector", "--output", "visual"])
    let visual = try SafeTensorsFile(path("visual/embeddings.safetensors")).floats("embeddings")
    XCTAssertLessThan(relativeDistance(visual, try golden.golden.floats("visual")), 1e-5)
    try succeed(common + ["--part", "language", "--output", "text"])
    XCTAssertEqual(try SafeTensorsFile(path("text/embeddings.safetensors")).shape("embeddings"), [12, 16])
  }
}
