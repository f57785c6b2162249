import Foundation
import Ground
import TestSupport
import XCTest

/// What a user gets wrong: one line from one rank, and the exit code of its kind.
final class WrongInputTests: ProgramTestCase {
  /// Of ranks that fail alike the first tells, though the launcher ends it as soon as another is gone; alone nobody waits.
  func testAFirstRankThatStartsLateTells() throws {
    let late = try start(["trian"], ranks: 2, firstRankAfter: 2).ended()
    let alone = try run(["trian"])
    for ended in [late, alone] {
      XCTAssertEqual(ended.code, Fault.Kind.usage.rawValue, ended.errors)
      XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
      XCTAssertTrue(ended.errors.contains("unknown command 'trian'"), ended.errors)
    }
    XCTAssertLessThan(alone.seconds, 4)
  }

  private let train = ["train", "-c", "run.yaml"]

  private func golden() throws -> Golden {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    return golden
  }

  /// Without a run file it is the demo, which can ask nothing of records with labels.
  func testTheDemoOnOtherDataThanConversations() throws {
    try copy(golden().imagesFolder + "/00-wide.jpg", to: "good.jpg")
    try write("labels.jsonl", #"{"image": "good.jpg", "label": "a"}"# + "\n" + #"{"image": "good.jpg", "label": "b"}"#)
    try assertRefused(
      ["train"] + sets("data.train=[{path: labels.jsonl}]", "head={kind: linear}", "train.parts={}"), .usage,
      "no conversations")
  }

  /// A run on one good record and `record`, with pictures of the test's folder.
  private func assertRecordIsRefused(
    _ record: String, _ kind: Fault.Kind, _ says: String..., file: StaticString = #filePath, line: UInt = #line
  ) throws {
    let golden = try golden()
    try? copy(golden.imagesFolder + "/00-wide.jpg", to: "good.jpg")
    try write(
      "records.jsonl",
      """
      {"image": "good.jpg", "conversations": [{"from": "human", "value": "<image>\\nA?"}, {"from": "gpt", "value": "B."}]}
      \(record)

      """)
    let arguments = train + sets("data.train=[{path: records.jsonl}]")
    for ranks in [nil, 2] {
      let ended = try run(arguments, ranks: ranks)
      XCTAssertEqual(ended.code, kind.rawValue, ended.errors, file: file, line: line)
      XCTAssertEqual(ended.errorLines.count, 1, ended.errors, file: file, line: line)
      XCTAssertTrue(ended.errors.hasPrefix("mmdist: error: "), ended.errors, file: file, line: line)
      for words in says + ["records.jsonl:2"] {
        XCTAssertTrue(ended.errors.contains(words), "no '\(words)' in: \(ended.errors)", file: file, line: line)
      }
    }
    XCTAssertFalse(
      FileManager.default.fileExists(atPath: path("run/metrics.jsonl")), "it is seen before step 1", file: file,
      line: line)
  }

  // MARK: Command line and run file

  func testUnknownOption() throws {
    try assertRefused(["train", "--stepps", "3"], .usage, "--stepps")
    try assertRefused(["trian"], .usage, "trian")
    try assertRefused(["eval", "-c", "run.yaml"], .usage, "--output")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--output", "r.json", "--metrics", "exact_mach"], .usage, "did you mean 'exact_match'?"
    )
  }

  func testUnknownKey() throws {
    try write("run.yaml", Golden("gpt2").plainRunFile + "checkpoint: {evry: 5}\n")
    try assertRefused(train, .badConfiguration, "'checkpoint.evry'", "did you mean 'every'", "run.yaml:4")
    try write("run.yaml", Golden("gpt2").plainRunFile)
    try assertRefused(train + sets("train.stepps=3"), .badConfiguration, "'train.stepps'", "did you mean 'steps'")
  }

  func testNoRunFile() throws {
    try assertRefused(["train", "-c", "nowhere.yaml"], .missingInput, "no such file (nowhere.yaml)")
  }

  func testMissingModel() throws {
    _ = try golden()
    try assertRefused(train + sets("model=nowhere"), .missingInput, "nowhere/config.json")
  }

  func testTargetsThatMatchNothing() throws {
    _ = try golden()
    let wrong = sets("adapter=null", "train.parts.language.targets=[q_porj]")
    try assertRefused(train + wrong, .badConfiguration, "'q_porj'", "train.parts.language.targets", "q_proj")
    let pattern = sets("adapter=null", "train.parts.language.targets=.*nothing.*")
    try assertRefused(train + pattern, .badConfiguration, "train.parts.language.targets")
  }

  func testAnOutputThatCannotBeMade() throws {
    _ = try golden()
    try assertRefused(train + sets("output=run.yaml/run"), .cannotWrite, "run.yaml/run")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--output", "run.yaml/report.json"], .cannotWrite, "run.yaml")
  }

  /// It is told before the work, which here would fail too.
  func testAReportThatCannotBeWritten() throws {
    let golden = try golden()
    let (data, images) = (golden.recordsFile, ["--images", golden.imagesFolder])
    try assertRefused(["eval", "-c", "run.yaml", "--output", "."], .cannotWrite, "name a file, not a folder")
    try assertRefused(
      ["eval", "-c", "run.yaml", "--output", "r.json", "--metrics", "vqa", "--save-predictions", "none/p.jsonl"],
      .cannotWrite, "none/p.jsonl", "make the folder")
    for arguments in [
      ["drift", "-c", "run.yaml", "--data", data, "--other-data", data],
      ["matrix", "-c", "run.yaml", "--task", "a=\(data)", "--after", golden.folder + "/adapter_init"],
    ] {
      let ended = try run(arguments + images + ["--output", "."])
      XCTAssertEqual(ended.code, Fault.Kind.cannotWrite.rawValue, ended.errors)
      XCTAssertTrue(ended.errors.contains("name a file, not a folder"), ended.errors)
      XCTAssertEqual(ended.output, "")
    }
  }

  func testOptionsThatMeasureNothing() throws {
    _ = try golden()
    func refused(_ arguments: String..., says: String, line: UInt = #line) throws {
      let ended = try run(["eval", "-c", "run.yaml", "--output", "r.json"] + arguments)
      XCTAssertEqual(ended.code, Fault.Kind.usage.rawValue, ended.errors, line: line)
      XCTAssertEqual(ended.errorLines.count, 1, ended.errors, line: line)
      XCTAssertTrue(ended.errors.contains(says), ended.errors, line: line)
    }
    for none in ["", ",", " "] { try refused("--metrics", none, says: "--metrics names none") }
    try refused("--json-schema", "s.json", says: "--json-schema is for answers")
    let predictions = "--save-predictions is of answers"
    try refused("--metrics", "loss,perplexity", "--save-predictions", "p.jsonl", says: predictions)
    try refused("--image-use", "--save-predictions", "p.jsonl", says: predictions)
    try refused("--classes", "nope.json", says: "--classes")
    let most = "give 1 to 1048576"
    try refused("--metrics", "vqa", "--max-new-tokens", "\(Int.max)", says: most)
    let ended = try run(["generate", "--model", "m", "--prompt", "p", "--max-new-tokens", "1000000000"])
    XCTAssertEqual(ended.code, 64)
    XCTAssertTrue(ended.errors.contains(most), ended.errors)
  }

  /// As of a variable that is not set in a script.
  func testAnEmptyResume() throws {
    _ = try golden()
    try assertRefused(train + ["--resume", ""], .usage, "--resume is empty; give auto, never or a checkpoint")
    let demo = try run(["train", "--resume", ""])
    XCTAssertEqual(demo.code, 64, demo.errors)
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder), ["run.yaml"])
  }

  func testResumingWithOtherUpdates() throws {
    _ = try golden()
    try succeed(train + sets("train.steps=1"))
    for ranks in [nil, 2] {
      let ended = try run(train + sets("adapter=null", "train.parts.language.rank=8"), ranks: ranks)
      XCTAssertEqual(ended.code, 78, ended.errors)
      let faults = ended.errorLines.filter { $0.hasPrefix("mmdist: error: ") }
      XCTAssertEqual(faults.count, 1, ended.errors)
      XCTAssertTrue(faults.first?.contains("resume with the run file that it was made with") == true, ended.errors)
      XCTAssertTrue(
        ended.errors.contains("mmdist: warning: resuming, but train.parts.language.rank was 4, is 8\n"), ended.errors)
    }
  }

  func testOutputInUse() throws {
    _ = try golden()
    let running = try start(train + sets("train.steps=100000"))
    defer { running.kill() }
    try waitForStep(1, of: "run", running)
    try assertRefused(train, .cannotWrite, "in use by another run", "pid \(running.process.processIdentifier)")
  }

  // MARK: Records and pictures

  func testMissingImage() throws {
    try assertRecordIsRefused(
      #"{"image": "no.jpg", "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "B"}]}"#,
      .missingInput, "no.jpg")
  }

  func testTruncatedJPEG() throws {
    let whole = try readFile(golden().imagesFolder + "/01-tall.jpg")
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: path("torn.jpg")))
    try assertRecordIsRefused(
      #"{"image": "torn.jpg", "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "B"}]}"#,
      .badData, "torn.jpg")
  }

  /// A picture that ends as it should, but is damaged inside, is found when a rank decodes it; the others end too.
  func testAPictureThatIsDamagedInside() throws {
    let golden = try golden()
    try copy(golden.imagesFolder + "/06-alpha.png", to: "damaged.png")
    try change("damaged.png") { $0[$0.count / 2] ^= 0xFF }
    try copy(golden.imagesFolder + "/00-wide.jpg", to: "good.jpg")
    let record = { (image: String) in
      #"{"image": "\#(image)", "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "B"}]}"#
        + "\n"
    }
    try write("records.jsonl", String(repeating: record("good.jpg"), count: 3) + record("damaged.png"))
    let changes = sets("data.train=[{path: records.jsonl}]", "train.micro_batch=1", "train.steps=100")
    let ended = try run(train + changes, ranks: 4)
    XCTAssertEqual(ended.code, 65, ended.errors)
    XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
    XCTAssertTrue(ended.errors.hasPrefix("mmdist: error: rank 3 on "), ended.errors)
    XCTAssertTrue(ended.errors.contains(", step 1: ") && ended.errors.contains("damaged.png"), ended.errors)
    XCTAssertTrue(ended.errors.contains("records.jsonl:4"), ended.errors)
    XCTAssertLessThan(ended.seconds, 60)
  }

  func testATagWithoutAnImageAndTheReverse() throws {
    try assertRecordIsRefused(
      #"{"conversations": [{"from": "human", "value": "<image>\nA?"}, {"from": "gpt", "value": "B"}]}"#, .badData,
      "<image>")
    try assertRecordIsRefused(
      #"{"image": "good.jpg", "conversations": [{"from": "human", "value": "A?"}, {"from": "gpt", "value": "B"}]}"#,
      .badData, "<image>")
  }

  func testNothingSupervised() throws {
    try assertRecordIsRefused(
      #"{"conversations": [{"from": "system", "value": "A"}, {"from": "human", "value": "B"}]}"#, .badData)
  }

  func testASampleThatIsTooLong() throws {
    let answer = String(repeating: "many words ", count: 400)
    try assertRecordIsRefused(
      #"{"conversations": [{"from": "human", "value": "A?"}, {"from": "gpt", "value": "\#(answer)"}]}"#, .badData,
      "512")
  }

  func testARecordThatIsNoJSON() throws {
    try assertRecordIsRefused(#"{"conversations": ["#, .badData)
  }

  // MARK: Models

  /// A copy of the golden model with one file changed; the run is refused.
  private func assertModelIsRefused(
    _ name: String, _ kind: Fault.Kind, _ says: String..., change body: (inout Data) throws -> Void
  ) throws {
    let golden = try golden()
    try? FileManager.default.removeItem(atPath: path("model"))
    try copy(golden.modelFolder, to: "model")
    try change("model/\(name)", body)
    try assertRefused(train + sets("model=model"), kind, says)
  }

  func testATruncatedSafetensorsFile() throws {
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") { $0 = $0.prefix($0.count - 100) }
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") { $0 = $0.prefix(500) }
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") { $0 = $0.prefix(3) }
  }

  func testALyingSafetensorsHeader() throws {
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") { $0[7] = 0x7F }
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") { $0[0] &-= 8 }
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") {
      try $0.replace("\"shape\":[336,48]", with: "\"shape\":[336,49]")
    }
    try assertModelIsRefused("model.safetensors", .badData, "model.safetensors") {
      try $0.replace("\"dtype\":\"F32\"", with: "\"dtype\":\"F64\"")
    }
  }

  func testMissingAndSurplusWeights() throws {
    try assertModelIsRefused(
      "model.safetensors", .badData, "language_model.layers.0.self_attn.q_proj.weight", "did you mean"
    ) { try $0.replace("layers.0.self_attn.q_proj.weight", with: "layers.0.self_attn.q_porj.weight") }
    try assertModelIsRefused("config.json", .badData, "no place for the weight", "layers.2.") {
      try $0.replace("\"num_hidden_layers\": 3,\n    \"num_key", with: "\"num_hidden_layers\": 2,\n    \"num_key")
    }
    try assertModelIsRefused("config.json", .badData, "config.json ties the head", "lm_head.weight") {
      try $0.replace("\"tie_word_embeddings\": false", with: "\"tie_word_embeddings\": true")
    }
    try assertModelIsRefused("config.json", .badData, "has shape", "[48, 48]") {
      try $0.replace("\"num_attention_heads\": 6", with: "\"num_attention_heads\": 8")
    }
  }

  func testAConfigurationThatIsNotSupported() throws {
    try assertModelIsRefused("config.json", .badConfiguration, "rope_type", "yarn") {
      try $0.replace("\"rope_type\": \"llama3\"", with: "\"rope_type\": \"yarn\"")
    }
    try assertModelIsRefused("config.json", .badConfiguration, "sliding_window_pattern") {
      try $0.replace("\"mlp_bias\": false", with: "\"sliding_window_pattern\": 4")
    }
    try assertModelIsRefused("config.json", .badConfiguration, "mamba") {
      try $0.replace("\"model_type\": \"llama\"", with: "\"model_type\": \"mamba\"")
    }
    try assertModelIsRefused("config.json", .badData, "config.json", "line") { $0 = $0.prefix(200) }
  }

  // MARK: Adapters

  private func assertAdapterIsRefused(
    _ name: String, _ kind: Fault.Kind, _ says: String..., change body: (inout Data) throws -> Void
  ) throws {
    let golden = try golden()
    try? FileManager.default.removeItem(atPath: path("adapter"))
    try copy(golden.folder + "/adapter_init", to: "adapter")
    try change("adapter/\(name)", body)
    let evaluation = [
      "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output", "r.json",
    ]
    for arguments in [train, evaluation] { try assertRefused(arguments + sets("adapter=adapter"), kind, says) }
  }

  func testAnAdapterThatDoesNotBindEveryKey() throws {
    try assertAdapterIsRefused("adapter_model.safetensors", .badData, "layers.1.self_attn.x_proj.lora_A.weight") {
      try $0.replace("layers.1.self_attn.q_proj.lora_A.weight", with: "layers.1.self_attn.x_proj.lora_A.weight")
    }
    try assertAdapterIsRefused("adapter_model.safetensors", .badData, "layers.7.self_attn.q_proj.lora_B.weight") {
      try $0.replace("layers.1.self_attn.q_proj.lora_B.weight", with: "layers.7.self_attn.q_proj.lora_B.weight")
    }
  }

  func testAnAdapterWithAnotherMethod() throws {
    try assertAdapterIsRefused("adapter_config.json", .badConfiguration, "use_qalora") {
      try $0.replace("\"use_qalora\": false", with: "\"use_qalora\": true")
    }
    try assertAdapterIsRefused("adapter_config.json", .badConfiguration, "IA3") {
      try $0.replace("\"peft_type\": \"LORA\"", with: "\"peft_type\": \"IA3\"")
    }
  }

  func testAnAdapterOfAnotherRankOrAlpha() throws {
    _ = try golden()
    try assertRefused(
      train + sets("train.parts.language.rank=8"), .badConfiguration, "train.parts.language.rank is 8",
      "the adapter's is 4")
    try assertRefused(
      train + sets("train.parts.language.alpha=9"), .badConfiguration, "train.parts.language.alpha")
    try assertRefused(
      train + sets("train.parts.language.targets=[q_proj]"), .badConfiguration, "train.parts.language.targets",
      "adapter_init")
    let whole = try run(train + sets("train.parts.language={train: full}"))
    XCTAssertEqual(whole.code, 78, whole.errors)
    XCTAssertTrue(whole.errors.contains("train.parts.language.train is full, the adapter's is lora"), whole.errors)
    try assertRefused(train + sets("adapter=nowhere"), .missingInput, "nowhere/adapter_config.json")
  }
}

extension Data {
  /// Replaces the first occurrence of a text; one that is not there is an error of the test.
  mutating func replace(_ text: String, with other: String) throws {
    guard let range = range(of: Data(text.utf8)) else {
      throw Fault(.internalError, "'\(text)' is not in the file", "correct the test")
    }
    replaceSubrange(range, with: Data(other.utf8))
  }
}
