import Foundation
import Ground
import TestSupport
import XCTest

/// Every format of data trains to the same bits as the same records in LLaVA's.
final class FormatsTests: ProgramTestCase {
  private struct Talk {
    let image: String
    let question: String
    let answer: String
  }

  private let talks = (0..<6).map { number in
    Talk(
      image: number % 2 == 0 ? "wide.jpg" : "sub/tall.jpg", question: "<image>\nQuestion \(number)?",
      answer: "Answer \(number * number), \u{201C}so\u{201D}.")
  }

  /// The losses of three steps on `data`, which is an entry of `data.train` in YAML.
  private func losses(_ data: String, ranks: Int? = nil, file: StaticString = #filePath, line: UInt = #line) throws
    -> [JSON]
  {
    let output = "run-\(UUID().uuidString)"
    try succeed(
      ["train", "-c", "run.yaml"]
        + sets(
          "data.train=[\(data)]", "output=\(output)", "train.steps=3", "train.global_batch=4", "data.shuffle=true"),
      ranks: ranks, file: file, line: line)
    return try metrics(output).map { [$0["loss"] ?? .null, $0["grad_norm"] ?? .null, $0["tokens"] ?? .null] }
  }

  private func lines(_ name: String, _ make: (Talk) throws -> JSON) throws {
    try write(name, try talks.map { try make($0).description + "\n" }.joined())
  }

  override func setUpWithError() throws {
    try super.setUpWithError()
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.runFile())
    try makeFolder(path("sub"))
    try copy(golden.imagesFolder + "/00-wide.jpg", to: "wide.jpg")
    let names = try FileManager.default.contentsOfDirectory(atPath: golden.imagesFolder).sorted()
    let other = try XCTUnwrap(names.first { $0.hasSuffix(".jpg") && $0 != "00-wide.jpg" })
    try copy("\(golden.imagesFolder)/\(other)", to: "sub/tall.jpg")
  }

  private func writeReference() throws -> [JSON] {
    try lines("llava.jsonl") {
      [
        "image": .string($0.image),
        "conversations": [
          ["from": "human", "value": .string($0.question)], ["from": "gpt", "value": .string($0.answer)],
        ],
      ]
    }
    return try losses("{path: llava.jsonl}")
  }

  private func base64(_ talk: Talk) throws -> String { try bytes(talk.image).base64EncodedString() }

  /// A user's message in parts: the picture, and what follows its tag.
  private func parts(_ talk: Talk, _ picture: JSON) -> JSON {
    let text = String(talk.question.dropFirst("<image>".count))
    return [
      ["role": "user", "content": [picture, ["type": "text", "text": .string(text)]]],
      ["role": "assistant", "content": [["type": "text", "text": .string(talk.answer)]]],
    ]
  }

  func testConversations() throws {
    let wanted = try writeReference()
    func assertEqual(_ data: String, ranks: Int? = nil, line: UInt = #line) throws {
      XCTAssertEqual(try losses(data, ranks: ranks, line: line), wanted, data, line: line)
    }
    let pictures: [(String, (Talk) throws -> JSON)] = [
      ("path", { ["type": "image", "path": .string($0.image)] }),
      ("file", { ["type": "image", "url": .string("file://" + self.path($0.image))] }),
      (
        "url",
        { ["type": "image_url", "image_url": ["url": .string("data:image/jpeg;base64," + (try self.base64($0)))]] }
      ),
      ("text", { ["type": "image_url", "image_url": .string("data:image/jpeg;base64," + (try self.base64($0)))] }),
      (
        "anthropic",
        {
          [
            "type": "image",
            "source": ["type": "base64", "media_type": "image/jpeg", "data": .string(try self.base64($0))],
          ]
        }
      ),
    ]
    for (name, picture) in pictures {
      try lines("\(name).jsonl") { ["messages": parts($0, try picture($0))] }
      try assertEqual("{path: \(name).jsonl}", ranks: name == "anthropic" ? 2 : nil)
    }
    try lines("trl.jsonl") { ["messages": parts($0, ["type": "image"]), "images": [.string($0.image)]] }
    try assertEqual("{path: trl.jsonl}")
    try lines("plain.jsonl") {
      [
        "image": .string($0.image),
        "messages": [
          ["role": "user", "content": .string($0.question)], ["role": "assistant", "content": .string($0.answer)],
        ],
      ]
    }
    try assertEqual("{path: plain.jsonl, format: messages}")
    try lines("completion.jsonl") {
      ["image": .string($0.image), "prompt": .string($0.question), "completion": .string($0.answer)]
    }
    try assertEqual("{path: completion.jsonl}")
    try lines("preference.jsonl") {
      [
        "images": [.string($0.image)], "prompt": .string($0.question),
        "chosen": [["role": "assistant", "content": .string($0.answer)]],
        "rejected": [["role": "assistant", "content": "No."]],
      ]
    }
    try assertEqual("{path: preference.jsonl}")
  }

  func testDescribedDataSets() throws {
    let wanted = try writeReference()
    try lines("sharegpt.json") {
      [
        "turns": [["who": "me", "says": .string($0.question)], ["who": "it", "says": .string($0.answer)]],
        "pictures": [.string($0.image)],
      ]
    }
    try lines("alpaca.json") {
      let words = $0.question.split(separator: "\n")
      return [
        "do": .string(String(words[0])), "with": .string(String(words[1])), "say": .string($0.answer),
        "pictures": .string($0.image),
      ]
    }
    try write(
      "dataset_info.json",
      """
      {"talk": {"file_name": "sharegpt.json", "formatting": "sharegpt",
        "columns": {"messages": "turns", "images": "pictures"},
        "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "me", "assistant_tag": "it"}},
       "task": {"file_name": "alpaca.json",
        "columns": {"prompt": "do", "query": "with", "response": "say", "images": "pictures"}},
       "far": {"hf_hub_url": "someone/something"}}
      """)
    for name in ["talk", "task"] {
      XCTAssertEqual(try losses("{path: dataset_info.json, dataset: \(name)}"), wanted, name)
    }
    for (entry, says) in [
      ("{path: dataset_info.json}", "which of its data sets?"),
      ("{path: dataset_info.json, dataset: tasks}", "no data set 'tasks'; did you mean 'task'?"),
      ("{path: dataset_info.json, dataset: far}", "the data set 'far' has no 'file_name'"),
    ] {
      try assertRefused(["train", "-c", "run.yaml"] + sets("data.train=[\(entry)]"), .badConfiguration, says)
    }
  }

  func testCaptions() throws {
    try lines("llava.jsonl") {
      [
        "image": .string($0.image),
        "conversations": [["from": "human", "value": "<image>"], ["from": "gpt", "value": .string($0.answer)]],
      ]
    }
    let wanted = try losses("{path: llava.jsonl}")
    try lines("pairs.jsonl") { ["image": .string($0.image), "text": .string($0.answer), "site": 3] }
    try write("pairs.csv", "image,caption\n" + talks.map { "\($0.image),\"\($0.answer)\"\n" }.joined())
    try write("metadata.csv", "file_name,text\n" + talks.map { "\($0.image),\"\($0.answer)\"\n" }.joined())
    var archive = Data()
    for (number, talk) in talks.enumerated() {
      if number == 3 {
        try (archive + Data(count: 1024)).write(to: URL(fileURLWithPath: path("shard-00.tar")))
        archive = Data()
      }
      archive += tarMember("set/\(number).jpg", try bytes(talk.image))
      archive += tarMember("set/\(number).txt", Data(talk.answer.utf8))
    }
    try (archive + Data(count: 1024)).write(to: URL(fileURLWithPath: path("shard-01.tar")))
    for data in ["pairs.jsonl", "pairs.csv", folder, "'shard-{00..01}.tar'"] {
      XCTAssertEqual(try losses("{path: \(data)}", ranks: data == folder ? 2 : nil), wanted, data)
    }
  }

  /// The other ways to write the same records.
  func testOtherSpellings() throws {
    let wanted = try writeReference()
    try write(
      "list.json",
      "[" + String(decoding: bytes("llava.jsonl"), as: UTF8.self).split(separator: "\n").joined(separator: ",\n") + "]")
    try lines("alpaca.jsonl") {
      let words = $0.question.split(separator: "\n").map { JSON.string(String($0)) }
      return ["image": .string($0.image), "instruction": words[0], "input": words[1], "output": .string($0.answer)]
    }
    // Without a tag the picture goes to the front.
    try lines("questions.jsonl") {
      [
        "image": .string($0.image), "question": .string(String($0.question.dropFirst("<image>".count))),
        "answer": .string($0.answer),
      ]
    }
    try write(
      "questions.tsv",
      "image\tprompt\tcompletion\n"
        + talks.map { "\($0.image)\t\"\($0.question)\"\t\"\($0.answer)\"\n" }.joined())
    try lines("chosen.jsonl") { one in
      func talk(_ answer: String) -> JSON {
        [["role": "user", "content": .string(one.question)], ["role": "assistant", "content": .string(answer)]]
      }
      return ["images": [.string(one.image)], "chosen": talk(one.answer), "rejected": talk("No.")]
    }
    try lines("base64.jsonl") { ["messages": parts($0, ["type": "image", "base64": .string(try self.base64($0))])] }
    for data in [
      "{path: list.json}", "{path: alpaca.jsonl}", "{path: questions.jsonl}", "{path: questions.tsv}",
      "{path: chosen.jsonl}", "{path: base64.jsonl}",
    ] {
      XCTAssertEqual(try losses(data), wanted, data)
    }
    // A system prompt beside the turns.
    func spoken(_ name: String, _ system: JSON?, turn: JSON?) throws {
      try lines(name) {
        let turns: [JSON] = [
          ["from": "human", "value": .string($0.question)], ["from": "gpt", "value": .string($0.answer)],
        ]
        let record: JSON = ["image": .string($0.image), "conversations": .array((turn.map { [$0] } ?? []) + turns)]
        return system.map { record.setting("system", to: $0) } ?? record
      }
    }
    try spoken("inside.jsonl", nil, turn: ["from": "system", "value": "Be brief."])
    try spoken("beside.jsonl", "Be brief.", turn: nil)
    let brief = try losses("{path: inside.jsonl}")
    XCTAssertEqual(try losses("{path: beside.jsonl, format: sharegpt}", ranks: 2), brief)
    XCTAssertNotEqual(brief, wanted)
  }

  /// Folders and archives of pictures with captions in their other forms.
  func testOtherFoldersAndArchives() throws {
    try lines("llava.jsonl") {
      [
        "image": .string($0.image),
        "conversations": [["from": "human", "value": "<image>"], ["from": "gpt", "value": .string($0.answer)]],
      ]
    }
    let wanted = try losses("{path: llava.jsonl}")
    try lines("metadata.jsonl") { ["file_name": .string($0.image), "text": .string($0.answer)] }
    try write("pairs.tsv", "image_path\tcaption\n" + talks.map { "\($0.image)\t\($0.answer)\n" }.joined())
    var archive = Data()
    for (number, talk) in talks.enumerated() {
      archive += tarMember("\(number).jpg", try bytes(talk.image))
      archive += tarMember("\(number).json", Data(JSON.object(["caption": .string(talk.answer)]).description.utf8))
    }
    try (archive + Data(count: 1024)).write(to: URL(fileURLWithPath: path("set.tar")))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["gzip", "-q", "-k", "-S", ".gz", path("set.tar")]
    try process.run()
    process.waitUntilExit()
    try FileManager.default.moveItem(atPath: path("set.tar.gz"), toPath: path("set.tgz"))
    for data in [folder, "pairs.tsv", "set.tar", "set.tgz"] {
      XCTAssertEqual(try losses("{path: \(data)}", ranks: data == "set.tgz" ? 2 : nil), wanted, data)
    }
  }

  func testArchivesOfConversations() throws {
    let wanted = try writeReference()
    var archive = Data()
    for (number, talk) in talks.enumerated() {
      let record: JSON = [
        "image": "somewhere/else.jpg",
        "conversations": [
          ["from": "human", "value": .string(talk.question)], ["from": "gpt", "value": .string(talk.answer)],
        ],
      ]
      archive += tarMember("\(number).json", Data(record.description.utf8))
      archive += tarMember("\(number).jpg", try bytes(talk.image))
    }
    try archive.write(to: URL(fileURLWithPath: path("a.tar")))
    XCTAssertEqual(try losses("{path: a.tar}"), wanted)
  }

  func testParquetAndCompressedFiles() throws {
    let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
    let golden = try Golden("llava-clip-llama")
    let pictures = ["04-grey.jpg", "03-small.jpg"]
    for name in pictures { try copy("\(golden.imagesFolder)/\(name)", to: name) }
    try write(
      "llava.jsonl",
      (0..<9).map { number in
        let record: JSON = [
          "image": .string(pictures[number % 2]),
          "conversations": [
            ["from": "human", "value": .string("<image>\nQuestion \(number)?")],
            ["from": "gpt", "value": .string("Answer \(number * number), \u{201C}so\u{201D}.")],
          ],
        ]
        return record.description + "\n"
      }.joined())
    let wanted = try losses("{path: llava.jsonl}")
    for name in ["none-v1", "zstd-v2"] {
      try copy("\(fixtures)/DatasetsTests/Fixtures/parquet/\(name).parquet", to: "\(name).parquet")
      XCTAssertEqual(try losses("{path: \(name).parquet}", ranks: name == "zstd-v2" ? 2 : nil), wanted, name)
    }
    for tool in ["gzip", "zstd"] {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [tool, "-q", "-k", path("llava.jsonl")]
      try process.run()
      process.waitUntilExit()
    }
    for name in ["llava.jsonl.gz", "llava.jsonl.zst"] {
      XCTAssertEqual(try losses("{path: \(name)}", ranks: 2), wanted, name)
    }
  }

  /// Several formats in one run, as often as their weights say.
  func testMixtures() throws {
    _ = try writeReference()
    try lines("parts.jsonl") { ["messages": parts($0, ["type": "image", "path": .string($0.image)])] }
    try lines("trl.jsonl") { ["messages": parts($0, ["type": "image"]), "images": [.string($0.image)]] }
    let weights = ["0.5", "2"]
    XCTAssertEqual(
      try losses("{path: parts.jsonl, weight: \(weights[0])}, {path: trl.jsonl, weight: \(weights[1])}"),
      try losses("{path: llava.jsonl, weight: \(weights[0])}, {path: llava.jsonl, weight: \(weights[1])}"))
  }

  func testRemotePicturesAreRefused() throws {
    try lines("far.jsonl") { ["messages": parts($0, ["type": "image", "url": "https://example.org/a.jpg"])] }
    try assertRefused(
      ["train", "-c", "run.yaml"] + sets("data.train=[{path: far.jsonl}]"), .badData,
      "'https://example.org/a.jpg' is a URL", "far.jsonl:1")
  }
}

/// A file in a ustar archive.
func tarMember(_ name: String, _ content: Data) -> Data {
  var header = [UInt8](repeating: 0, count: 512)
  func put(_ text: String, at offset: Int) {
    header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
  }
  let size = String(content.count, radix: 8)
  put(name, at: 0)
  put("0000644", at: 100)
  put(String(repeating: "0", count: 11 - size.count) + size, at: 124)
  put("0", at: 156)
  put("ustar\u{0}00", at: 257)
  put("        ", at: 148)
  let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
  put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", at: 148)
  return Data(header) + content + Data(count: (512 - content.count % 512) % 512)
}
