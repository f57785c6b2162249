import Foundation
import Ground
import Models
import SafeTensors
import TestSupport
import XCTest

/// `mmdist` on texts with labels, from the run file to what transformers loads.
final class ClassificationTests: ProgramTestCase {
  private let golden = try! LabelledGolden("bert")

  private var rows: [JSON] {
    get throws {
      try String(contentsOfFile: golden.folder + "/texts.jsonl", encoding: .utf8).split(separator: "\n").map {
        try JSON(parsing: String($0), at: "texts.jsonl")
      }
    }
  }

  /// The golden's texts, the second one written as null where there is none.
  private func writeTexts(_ name: String = "texts.jsonl", _ change: (JSON) -> JSON = { $0 }) throws {
    let lines = try rows.map { row in
      change(row["second"] == nil ? row.with("second", .null) : row).description + "\n"
    }
    try write(name, lines.joined())
  }

  /// The run that the reference's Trainer did.
  private func runFile(_ part: String, rate: Double, model: String? = nil, data: String = "texts.jsonl") -> String {
    """
    model: \(model ?? golden.folder + "/model")
    output: run
    data:
      train: [{path: \(data), text_pair: second}]
      validation: [{path: \(data), text_pair: second}]
      shuffle: false
    train:
      steps: 12
      global_batch: 8
      micro_batch: 3
      precision: float32
      clip_norm: 1.0
      parts: {language: {\(part), learning_rate: \(rate), weight_decay: 0.05}}
      schedule: {name: linear, warmup_steps: 2}
    checkpoint: {every: 6}

    """
  }

  private func losses(_ output: String) throws -> [Double] {
    try metrics(output).map { $0["loss"]?.double ?? .nan }
  }

  private func assertCurve(_ output: String, _ section: String) throws {
    let wanted = (golden.json[section]?["steps"]?.array ?? []).compactMap { $0["loss"]?.double }
    let found = try losses(output)
    XCTAssertEqual(found.count, 12)
    for (own, reference) in zip(found, wanted) { XCTAssertEqual(own, reference, accuracy: 1e-5) }
  }

  private func report(_ arguments: [String]) throws -> JSON {
    try succeed(["eval", "-c", "run.yaml", "--output", "report.json"] + arguments)
    return try JSON(contentsOf: path("report.json"))
  }

  func testFromTheRunFileToAModelOfTransformers() throws {
    try writeTexts()
    try write("run.yaml", runFile("train: full", rate: 5e-3))
    let ended = try succeed(["train", "-c", "run.yaml"], ranks: 2)
    XCTAssertTrue(ended.output.contains("3 labels, one for each record: negative, neutral, positive"), ended.output)
    XCTAssertFalse(ended.output.contains("newly initialised"), ended.output)
    try assertCurve("run", "train")
    XCTAssertEqual(try metrics("run")[0]["losses"]?.object?.keys.elements, ["cross_entropy"])

    // Half of it, and the rest after a stop: the same bits.
    try succeed(["train", "-c", "run.yaml", "--set", "output=half", "train.steps=12"])
    try FileManager.default.removeItem(atPath: path("half/checkpoints/step-00000012"))
    try succeed(["train", "-c", "run.yaml", "--set", "output=half"], ranks: 3)
    XCTAssertEqual(try timelessMetrics("half"), try timelessMetrics("run"))

    let checkpoint = "run/checkpoints/step-00000012"
    let wanted = try report(["--checkpoint", checkpoint])
    let samples = try XCTUnwrap(wanted["samples"]?.array)
    XCTAssertEqual(samples.count, 24)
    let right = samples.filter { $0["label"] == $0["prediction"] }.count
    XCTAssertEqual(wanted["metrics"]?["accuracy"]?.double, Double(right) / 24)
    XCTAssertEqual(samples.map { $0["label"]?.string }, try rows.map { $0["label"]?.string })
    let mean = samples.reduce(0) { $0 + ($1["loss"]?.double ?? .nan) } / 24
    XCTAssertEqual(wanted["metrics"]?["loss"]?.double ?? .nan, mean, accuracy: 1e-12)

    try succeed(["export", "--checkpoint", checkpoint, "--format", "merged", "--output", "merged"])
    let configuration = try JSON(contentsOf: path("merged/config.json"))
    XCTAssertEqual(configuration["architectures"], ["BertForSequenceClassification"])
    XCTAssertEqual(configuration["id2label"]?["2"], "positive")
    XCTAssertEqual(configuration["label2id"]?["neutral"], 1)
    XCTAssertEqual(configuration["problem_type"], "single_label_classification")
    XCTAssertEqual(
      Set(try WeightFiles(folder: path("merged")).names), Set(try WeightFiles(folder: golden.folder + "/model").names))
    XCTAssertEqual(try report(["--set", "model=merged"]), wanted)
    try assertRefused(
      ["export", "--checkpoint", checkpoint, "--format", "peft", "--output", "adapter"], .usage, "--format merged")
  }

  func testTheModelAsItIsGivesTheReferencesLogits() throws {
    try writeTexts()
    try write("run.yaml", runFile("train: full", rate: 5e-3))
    let alone = try report([])
    for (sample, example) in zip(alone["samples"]?.array ?? [], golden.examples) {
      for (own, wanted) in zip(sample.doubles("logits"), example.logits) {
        XCTAssertEqual(own, wanted, accuracy: 1e-5)
      }
      XCTAssertEqual(sample["loss"]?.double ?? .nan, example.loss, accuracy: 1e-5)
    }
    try succeed(["eval", "-c", "run.yaml", "--output", "three.json"], ranks: 3)
    XCTAssertEqual(try JSON(contentsOf: path("three.json")), alone)
  }

  func testLoRAKeepsTheClassifierInTheAdapter() throws {
    try writeTexts()
    let file = runFile("train: lora, rank: 4, alpha: 8, dropout: 0.0, targets: [query, value]", rate: 2e-2)
    try write("run.yaml", file + "adapter: \(golden.folder)/adapter_init\n")
    try succeed(["train", "-c", "run.yaml"], ranks: 2)
    try assertCurve("run", "lora")
    let wanted = try report(["--checkpoint", "run/checkpoints/step-00000012"])
    XCTAssertEqual(try report(["--adapter", "run/adapter"]), wanted)
    let reference = try report(["--adapter", golden.folder + "/adapter_final"])
    let (own, theirs) = (wanted["metrics"]?["loss"]?.double ?? .nan, reference["metrics"]?["loss"]?.double ?? .nan)
    XCTAssertEqual(own, theirs, accuracy: 1e-4)
    for format in ["peft", "merged"] {
      try succeed([
        "export", "--checkpoint", "run/checkpoints/step-00000012", "--format", format, "--output", format,
      ])
    }
    XCTAssertEqual(
      try bytes("peft/adapter_model.safetensors"), try bytes("run/adapter/adapter_model.safetensors"))
  }

  /// A base model without a head, CSV with names of its own, several labels and numbers.
  func testABaseModelLearnsFromCSV() throws {
    try makeFolder(path("base"))
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      try copy("\(golden.folder)/model/\(name)", to: "base/\(name)")
    }
    let configuration = try JSON(contentsOf: golden.folder + "/model/config.json")
    try write("base/config.json", configuration.with("architectures", ["BertModel"]).without("id2label").description)
    let tensors = try SafeTensorsFile(golden.folder + "/model/model.safetensors").stored()
    try writeStored(tensors.filter { !$0.name.hasPrefix("classifier.") }, to: path("base/model.safetensors"))

    func csv(_ label: (Int, JSON) -> String) throws {
      let lines = try rows.enumerated().map { "\"\($1["text"]?.string ?? "")\",\(label($0, $1))\r\n" }
      try write("texts.csv", "\u{FEFF}review,mood\r\n" + lines.joined())
    }
    func train(_ output: String) throws -> String {
      try write(
        "run.yaml",
        runFile("train: full", rate: 5e-3, model: "base", data: "texts.csv")
          .replacingOccurrences(of: "text_pair: second", with: "text: review, label: mood"))
      let ended = try succeed(["train", "-c", "run.yaml", "--set", "output=\(output)"], ranks: 2)
      XCTAssertTrue(
        ended.output.contains("does not have them: classifier.weight, classifier.bias")
          || ended.output.contains("do not have them: classifier.weight, classifier.bias"), ended.output)
      XCTAssertEqual(try losses(output).count, 12)
      return ended.output
    }
    try csv { $1["label"]?.string ?? "" }
    XCTAssertTrue(try train("names").contains("3 labels, one for each record: negative, neutral, positive"))
    // The seed decides the new head.
    try succeed(["train", "-c", "run.yaml", "--set", "output=other", "train.seed=1"])
    XCTAssertNotEqual(try losses("other")[0], try losses("names")[0])

    try csv { number, _ in "\"[\"\"a\"\"\(number % 2 == 0 ? ", \"\"b\"\"" : "")]\"" }
    XCTAssertTrue(try train("several").contains("2 labels, any number for each record: a, b"))
    XCTAssertEqual(try metrics("several")[0]["losses"]?.object?.keys.elements, ["binary_cross_entropy"])
    let several = try report(["--checkpoint", "several/checkpoints/step-00000012"])
    XCTAssertEqual(several["metrics"]?.object?.keys.elements, ["loss", "exact_match", "micro_f1", "macro_f1", "auroc"])
    XCTAssertEqual(several["samples"]?.array?[0]["label"], ["a", "b"])

    try csv { number, _ in "\(Double(number) / 10)" }
    XCTAssertTrue(try train("numbers").contains("regression to 1 number"))
    let numbers = try report(["--checkpoint", "numbers/checkpoints/step-00000012"])
    XCTAssertEqual(numbers["metrics"]?.object?.keys.elements, ["loss", "mean_absolute_error", "pearson"])
    XCTAssertEqual(numbers["samples"]?.array?[3]["label"], [.number(Double(Float(0.3)))])
  }

  /// Groups, intervals, fairness and bounds of texts with labels.
  func testGroupsOfTextsWithLabels() throws {
    var number = 0
    try writeTexts { row in
      number += 1
      return row.with("age", .string(number % 3 == 0 ? "old" : "young"))
    }
    try write("run.yaml", runFile("train: full", rate: 5e-3))
    let grouped = try report(["--group-by", "age", "--require", "fairness.demographic_parity_difference<=1"])
    XCTAssertEqual(
      grouped.object?.keys.elements, ["metrics", "intervals", "labels", "groups", "fairness", "samples"])
    let samples = grouped["samples"]?.array ?? []
    XCTAssertEqual(samples[2]["groups"], ["age": "old"])
    let old = grouped["groups"]?["age"]?.array?[1]
    XCTAssertEqual([old?["value"], old?["count"]], ["old", 8])
    let right = samples.filter { $0["groups"]?["age"] == "old" && $0["label"] == $0["prediction"] }.count
    XCTAssertEqual(old?["metrics"]?["accuracy"]?.double, Double(right) / 8)
    XCTAssertEqual(old?["intervals"]?["accuracy"]?["value"]?.double, Double(right) / 8)
    let all = try XCTUnwrap(grouped["intervals"]?["macro_f1"])
    let value = try XCTUnwrap(grouped["metrics"]?["macro_f1"]?.double)
    XCTAssertTrue((all["low"]?.double ?? 2) <= value && value <= (all["high"]?.double ?? -1), "\(all)")
    XCTAssertEqual(
      grouped["fairness"]?["columns"]?["age"]?["outcomes"]?.object?.keys.elements, ["negative", "neutral", "positive"])
    let one = try report(["--group-by", "age", "--positive", "negative"])
    let negative = one["fairness"]?["columns"]?["age"]?["outcomes"]?["negative"]
    XCTAssertEqual(one["fairness"]?["columns"]?["age"]?["outcomes"]?.object?.count, 1)
    for (place, name) in ["young", "old"].enumerated() {
      let group = negative?["groups"]?.array?[place]
      let own = samples.filter { $0["groups"]?["age"]?.string == name }
      let said = own.filter { $0["prediction"] == "negative" }.count
      XCTAssertEqual(group?["value"]?.string, name)
      XCTAssertEqual(group?["selection_rate"]?["value"]?.double, Double(said) / Double(own.count))
    }
    let eval = ["eval", "-c", "run.yaml", "--output", "r.json"]
    try assertRefused(
      eval + ["--group-by", "age", "--positive", "negativ"], .usage, "did you mean 'negative'?", "--positive")
    try assertRefused(eval + ["--group-by", "agee"], .usage, "no record has a column 'agee'")
    try assertRefused(eval + ["--require", "macro_f1>1"], .badData, "macro_f1>1")
  }

  /// A language model gets a `score` for each label in place of its head.
  func testGPT2GivesLabels() throws {
    let model = try Golden("gpt2").modelFolder
    try write("texts.csv", "text,label\nThe cat,1\nA dog,0\nSome birds,2\nNo fish,1\n")
    try write(
      "run.yaml",
      """
      model: \(model)
      output: run
      data: {train: [{path: texts.csv}], validation: [{path: texts.csv}], shuffle: false}
      train: {steps: 3, global_batch: 4, precision: float32, parts: {language: {train: lora, rank: 2, targets: [c_attn]}}}

      """)
    let ended = try succeed(["train", "-c", "run.yaml"], ranks: 2)
    XCTAssertTrue(ended.output.contains("score.weight; the model has to be trained"), ended.output)
    XCTAssertTrue(
      try WeightFiles(folder: path("run/adapter"), name: "adapter_model").names.contains(
        "base_model.model.score.weight"))
    let wanted = try report(["--checkpoint", "run/checkpoints/step-00000003"])
    XCTAssertEqual(try report(["--adapter", "run/adapter"]), wanted)
    XCTAssertEqual(wanted["labels"], ["LABEL_0", "LABEL_1", "LABEL_2"])
  }

  func testWhatIsWrongIsToldWithItsLine() throws {
    try writeTexts()
    try write("run.yaml", runFile("train: full", rate: 5e-3))
    try writeTexts { $0["label"] == "neutral" ? $0.with("label", "neutrl") : $0 }
    let line = try rows.firstIndex { $0["label"] == "neutral" }.map { $0 + 1 } ?? 0
    try assertRefused(
      ["train", "-c", "run.yaml"], .badData, "unknown label 'neutrl'; did you mean 'neutral'?",
      "texts.jsonl:\(line)", "use one of negative, neutral, positive")
    try write("chat.jsonl", #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#)
    try assertRefused(
      ["train", "-c", "run.yaml", "--set", "data.train=[{path: chat.jsonl}]"], .badConfiguration,
      "this model writes no text", "format: classification")
    try assertRefused(
      ["train", "-c", "run.yaml", "--set", "data.train=[{path: chat.jsonl}, {path: texts.jsonl}]"], .badConfiguration,
      "chat.jsonl' holds conversations", "texts.jsonl' does not")
    try assertRefused(
      ["generate", "--model", golden.folder + "/model", "--prompt", "Hi"], .badConfiguration, "writes no text")
    try write("t.csv", "text,label\nx,\"good\n")
    try assertRefused(
      ["check", "-c", "run.yaml", "--set", "data.train=[{path: t.csv}]"], .badData, "is not closed", "t.csv:2")
  }

  func testOtherLabelsThanTheCheckpointsAreRefused() throws {
    try writeTexts()
    try write("run.yaml", runFile("train: full", rate: 5e-3))
    try succeed(["train", "-c", "run.yaml", "--set", "train.steps=1"])
    try assertRefused(
      ["train", "-c", "run.yaml", "--set", "data.labels=[positive, neutral, negative]"], .badConfiguration,
      "trained on the labels negative, neutral, positive", "data.labels")
  }

  func testLongTextsAreCutAndThatIsSaid() throws {
    try write("texts.csv", "text,label\n\(String(repeating: "good ", count: 100)),1\nbad,0\n")
    try write(
      "run.yaml",
      runFile("train: full", rate: 1e-3, data: "texts.csv").replacingOccurrences(of: ", text_pair: second", with: ""))
    let ended = try succeed(["train", "-c", "run.yaml", "--set", "train.steps=1"], ranks: 2)
    XCTAssertTrue(
      ended.errors.contains("1 of 2 texts are longer than 40 tokens: their ends are cut off"), ended.errors)
    XCTAssertEqual(try metrics("run")[0]["tokens"]?.integer, 4 * (40 + 3))
  }
}
