import Demo
import Foundation
import Ground
import Media
import TestSupport
import XCTest

/// `check` on data with one of each fault, and on data without any.
final class CheckTests: ProgramTestCase {
  private func prepare(training: Int = 40) throws {
    try writeDemo(to: path("."), trainingPictures: training)
  }

  private func report(_ extra: [String] = [], ranks: Int? = nil, threads: Int? = nil, code: Int32 = 0) throws -> JSON {
    let ended = try start(["check", "--report", "r.json"] + extra, ranks: ranks, threads: threads).ended()
    XCTAssertEqual(ended.code, code, ended.errors + ended.output)
    return try JSON(contentsOf: path("r.json"))
  }

  private func kinds(_ report: JSON) -> [String] {
    (report["faults"]?.array ?? []).map { fault in
      "\(fault["file"]?.string ?? ""):\(fault["line"]?.integer ?? 0) \(fault["severity"]?.string?.prefix(1) ?? "") \(fault["kind"]?.string ?? "")"
    }
  }

  /// A picture of its own for each seed: soft spots of colour, which no other has at the same places.
  private func picture(_ seed: UInt64, width: Int = 96, height: Int = 96) -> Picture {
    let spots = (0..<6 * 6 * 3).map { place -> UInt8 in
      var state = (seed + 1) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(place) &* 0xBF58_476D_1CE4_E5B9
      state = (state ^ (state >> 29)) &* 0x94D0_49BB_1331_11EB
      return UInt8(state >> 56)
    }
    return Picture(width: 6, height: 6, pixels: spots).resized(width: width, height: height, filter: .bilinear)
  }

  private func save(_ picture: Picture, _ name: String) throws {
    let bytes = name.hasSuffix(".png") ? try picture.encodedPNG() : try picture.encodedJPEG(quality: 90)
    try makeFolder(path("pictures"))
    try Data(bytes).write(to: URL(fileURLWithPath: path("pictures/" + name)))
  }

  private func line(_ image: String?, _ turns: [(String, String)], _ more: String = "") -> String {
    let list = turns.map { JSON.object(["from": .string($0.0), "value": .string($0.1)]).description }.joined(
      separator: ", ")
    let picture = image.map { "\"image\": \(JSON.string($0)), " } ?? ""
    return "{\(picture)\(more.isEmpty ? "" : more + ", ")\"conversations\": [\(list)]}\n"
  }

  private func ask(_ image: String, _ question: String = "What colour is it?", _ answer: String = "red") -> String {
    line(image, [("human", "<image>\(question)"), ("gpt", answer)])
  }

  private static let long =
    "the quick brown fox jumps over the lazy dog while seven old men watch from a small red house by the river"

  private static let other =
    "please tell me whether anyone who lives near the old mill has ever been seen to walk along its northern wall at night"

  private let data = [
    "--set", "data.train=[{path: train.jsonl, images: pictures}]",
    "data.validation=[{path: val.jsonl, images: pictures}]",
  ]

  func testTheDemoIsClean() throws {
    try prepare(training: 400)
    let report = try report()
    XCTAssertEqual(kinds(report), [])
    XCTAssertEqual(report["records"]?.integer, 784)
    let set = try XCTUnwrap(report["sets"]?.array?.first)
    XCTAssertEqual(set["pictures"]?["distinct"]?.integer, 784)
    XCTAssertEqual(set["answers"]?.array?.count, 15)
    let probe = try XCTUnwrap(set["shortcut"])
    XCTAssertEqual(probe["turns"]?.integer, 400 * 4 + 384)
    // Four kinds of questions with 6, 4, 3 and 2 answers.
    XCTAssertEqual(try XCTUnwrap(probe["accuracy"]?.double), 0.3125, accuracy: 0.05)
  }

  func testEachFaultIsFoundWhereItIs() throws {
    try prepare()
    for seed in 0..<16 { try save(picture(UInt64(seed)), "p\(seed).jpg") }
    let whole = try picture(1).encodedJPEG(quality: 90)
    func put(_ bytes: [UInt8], _ name: String) throws {
      try Data(bytes).write(to: URL(fileURLWithPath: path("pictures/" + name)))
    }
    try put(Array(whole.prefix(whole.count / 2)), "cut.jpg")
    try put(Array("GIF89a".utf8) + [UInt8](repeating: 0, count: 40), "film.jpg")
    try put(
      try Array(picture(2).encodedPNG().enumerated().map { $0.offset == 300 ? $0.element ^ 0xFF : $0.element }),
      "bad.png")
    try save(picture(31, width: 20, height: 20), "tiny.png")
    try save(picture(32, width: 400, height: 40), "strip.png")
    try save(Picture(width: 64, height: 64, pixels: [UInt8](repeating: 77, count: 64 * 64 * 3)), "grey.png")
    try save(picture(5), "copy.jpg")  // the bytes of p5.jpg
    try put(try picture(6).encodedJPEG(quality: 55), "again.jpg")  // p6.jpg, saved again
    let lines = [
      ask("p0.jpg"),
      "{\"image\": \"p1.jpg\", \"conversations\": [\n".replacing("\n", with: "") + "\n",
      line("p1.jpg", [("human", "What colour is it?"), ("gpt", "red")]),
      line(nil, [("human", "<image>What colour is it?"), ("gpt", "red")]),
      ask("none.jpg"), ask("cut.jpg"), ask("bad.png"), ask("film.jpg"),
      line("p1.jpg", [("human", "<image>What colour is it?")]),
      ask("p2.jpg", String(repeating: "what colour is it? ", count: 200)),
      line("p3.jpg", [("human", "<image>What colour is it?"), ("gpt", "red"), ("gpt", "blue")]),
      line("p4.jpg", [("human", "<image>What colour is it?"), ("gpt", "")]),
      ask("tiny.png"), ask("strip.png"), ask("grey.png"),
      ask("p5.jpg", "Name the shape.", "star"), ask("copy.jpg", "Which shape is it?", "star"),
      ask("p6.jpg"), ask("again.jpg", "Left or right?", "left"),
      ask("p7.jpg"), ask("p7.jpg"),
      ask("p8.jpg"), ask("p8.jpg", "What colour is it?", "blue"),
      ask("p9.jpg", "Tell me.", CheckTests.long), ask("p10.jpg", "Tell me.", CheckTests.long + " today"),
      line(nil, [("human", CheckTests.other), ("gpt", "yes")]),
      ask("p11.jpg"),
    ]
    try write("train.jsonl", lines.joined())
    try write(
      "val.jsonl",
      ask("p12.jpg") + ask("p11.jpg", "Left or right?", "left")
        + line(nil, [("human", CheckTests.other), ("gpt", "yes")]))
    let expected =
      [
        "2 e malformed_record", "3 e placeholder_mismatch", "4 e placeholder_mismatch", "5 e missing_image",
        "6 e truncated_image", "7 e damaged_image", "8 e unreadable_image", "9 e no_supervised_token", "10 e too_long",
        "11 w role_order", "12 w empty_turn", "13 w tiny_image", "14 w extreme_aspect", "15 w blank_image",
        "17 w duplicate_image", "19 w near_duplicate_image", "21 w duplicate_record", "23 w conflicting_answers",
        "25 w near_duplicate_text",
      ].map { "train.jsonl:" + $0 } + ["val.jsonl:2 w leaked_image", "val.jsonl:3 w leaked_text"]
    let first = try report(data + ["--html", "page.html"], code: 65)
    XCTAssertEqual(kinds(first), expected.map(path))
    // The same of what was kept, on any number of ranks and threads.
    for (ranks, threads) in [(nil, 1), (nil, 3), (2, nil), (3, 1)] as [(Int?, Int?)] {
      XCTAssertEqual(try report(data, ranks: ranks, threads: threads, code: 65), first, "\(ranks ?? 1) ranks")
    }
    let fresh = try start(["check", "--report", "r.json"] + data, ranks: 3, cache: path("other-cache")).ended()
    XCTAssertEqual(fresh.code, 65)
    XCTAssertEqual(try JSON(contentsOf: path("r.json")), first, "3 ranks that keep nothing yet")
    for fault in first["faults"]?.array ?? [] {
      XCTAssertFalse(fault["message"]?.string?.isEmpty ?? true)
      XCTAssertFalse(fault["remedy"]?.string?.isEmpty ?? true)
    }
    let page = String(decoding: try bytes("page.html"), as: UTF8.self)
    XCTAssertTrue(page.contains("Not ready: 9 errors would stop training, and 12 warnings to look at"))
    XCTAssertTrue(page.contains("data:image/jpeg;base64,"))
  }

  func testAPictureThatIsTooLongToBeMadeSquare() throws {
    try prepare()
    try change("model/processor_config.json") {
      let squares = String(decoding: $0, as: UTF8.self)
        .replacing("SiglipImageProcessor", with: "LlavaImageProcessor")
        .replacing("\"do_resize\": true", with: "\"do_resize\": true, \"do_pad\": true, \"do_center_crop\": false")
      $0 = Data(squares.utf8)
    }
    for seed in 0..<2 { try save(picture(UInt64(seed)), "p\(seed).jpg") }
    try save(Picture(width: 60_000, height: 10, pixels: [UInt8](repeating: 7, count: 1_800_000)), "long.png")
    try write("train.jsonl", ask("p0.jpg") + ask("long.png") + ask("p1.jpg", "Left or right?", "left"))
    let report = try report(
      ["--set", "data.train=[{path: train.jsonl, images: pictures}]", "data.validation=[]"], code: 65)
    XCTAssertEqual(kinds(report), [path("train.jsonl:2") + " e unreadable_image"])
    let message = try XCTUnwrap(report["faults"]?.array?.first?["message"]?.string)
    XCTAssertTrue(message.contains("long.png: the picture of 60000 × 10 pixels is too large when"), message)
  }

  func testRegionsOutOfRangeAndTurnsThatTheTemplateRefuses() throws {
    try prepare()
    for seed in 0..<6 { try save(picture(UInt64(seed)), "p\(seed).jpg") }
    try change("model/chat_template.jinja") {
      $0 = Data("{% if messages | length > 3 %}{{ raise_exception('too many turns') }}{% endif %}".utf8) + $0
    }
    func region(_ image: String, _ box: String, tag: String = "r") -> String {
      line(
        image, [("human", "<image>What is <region:\(tag)>it</region>?"), ("gpt", "red")],
        "\"regions\": {\"r\": {\"box\": \(box)}}")
    }
    try write(
      "train.jsonl",
      [
        region("p0.jpg", "[8, 8, 60, 60]"), region("p1.jpg", "[8, 8, 97, 60]"), region("p2.jpg", "[-1, 8, 60, 60]"),
        region("p3.jpg", "[60, 8, 8, 60]"), region("p4.jpg", "[8, 8, 60, 60]", tag: "other"),
        line("p5.jpg", [("human", "<image>a?"), ("gpt", "b"), ("human", "c?"), ("gpt", "d")]),
      ].joined())
    let report = try report(
      ["--set", "data.train=[{path: train.jsonl, images: pictures}]", "data.validation=[]"], code: 65)
    XCTAssertEqual(
      kinds(report),
      [
        "2 e bad_region", "3 e bad_region", "4 e malformed_record", "5 e malformed_record", "6 e refused_by_template",
      ].map { path("train.jsonl:" + $0) })
  }

  func testAnswersAndGroupsOutOfBalance() throws {
    try prepare()
    func records(_ no: (Int) -> Bool) throws {
      try write(
        "train.jsonl",
        (0..<60).map { number in
          line(
            nil, [("human", "Is number \(number) even?"), ("gpt", no(number) ? "no" : "yes")],
            "\"site\": \"\(number < 5 ? "b" : "a")\"")
        }.joined())
    }
    let arguments = [
      "--set", "data.train=[{path: train.jsonl}]", "data.validation=[]", "--group-by", "site",
    ]
    try records { $0 % 10 == 0 }
    let messages = (try report(arguments)["faults"]?.array ?? []).map {
      "\($0["kind"]?.string ?? ""): \($0["message"]?.string ?? "")"
    }
    XCTAssertEqual(
      messages,
      ["imbalance: 90 % of 60 answers are 'yes', of 2 that come up", "imbalance: site b has 5 records, a has 55"])
    try records { $0 % 2 == 0 }
    XCTAssertEqual(try report(Array(arguments.prefix(3)))["faults"]?.array?.count, 0)
  }

  func testEachFaultOfCaptionsIsFoundWhereItIs() throws {
    let golden = try PairGolden("clip")
    for seed in 0..<12 { try save(picture(UInt64(seed)), "p\(seed).jpg") }
    let whole = try picture(1).encodedJPEG(quality: 90)
    try Data(whole.prefix(whole.count / 2)).write(to: URL(fileURLWithPath: path("pictures/cut.jpg")))
    try save(picture(31, width: 20, height: 20), "tiny.png")
    try save(picture(32, width: 400, height: 40), "strip.png")
    try save(Picture(width: 64, height: 64, pixels: [UInt8](repeating: 77, count: 64 * 64 * 3)), "grey.png")
    try save(picture(1), "copy.jpg")
    try Data(picture(2).encodedJPEG(quality: 55)).write(to: URL(fileURLWithPath: path("pictures/again.jpg")))
    func pair(_ image: String, _ text: String) -> String {
      JSON.object(["image": .string(image), "text": .string(text)]).description + "\n"
    }
    // The tokenizer knows the endings of few words.
    let long =
      "the old red house near the river and the tall green tree on the far side are seen here on an early day"
    let good = [
      pair("p0.jpg", "a red one"), pair("p1.jpg", "a blue one"), pair("p2.jpg", "one"), pair("p3.jpg", "two"),
      pair("p4.jpg", long),
    ]
    try write(
      "train.jsonl",
      (good + [
        pair("cut.jpg", "red"), pair("none.jpg", "blue tree"), pair("tiny.png", "a tree"), pair("strip.png", "a house"),
        pair("grey.png", "a river"), pair("copy.jpg", "another"), pair("again.jpg", "again"), pair("p3.jpg", "two"),
        pair("p5.jpg", long + " today"), pair("p6.jpg", " "), "{\"image\": \"p7.jpg\"}\n",
      ]).joined())
    try write(
      "val.jsonl", pair("p0.jpg", "other words") + pair("p8.jpg", "here " + long) + pair("p9.jpg", "a far side"))
    try write(
      "mmdist.yaml",
      """
      model: \(golden.golden.modelFolder)
      data:
        train: [{path: train.jsonl, images: pictures}]
        validation: [{path: val.jsonl, images: pictures}]
      """)
    let found = try report(code: 65)
    XCTAssertEqual(
      kinds(found).map { ($0 as NSString).lastPathComponent }.filter { !$0.hasSuffix("cut_text") },
      [
        "train.jsonl:6 e truncated_image", "train.jsonl:7 e missing_image", "train.jsonl:8 w tiny_image",
        "train.jsonl:9 w extreme_aspect", "train.jsonl:10 w blank_image", "train.jsonl:11 w duplicate_image",
        "train.jsonl:12 w near_duplicate_image", "train.jsonl:13 w duplicate_record",
        "train.jsonl:14 w near_duplicate_text", "train.jsonl:15 w empty_turn", "train.jsonl:16 e malformed_record",
        "val.jsonl:1 w leaked_image", "val.jsonl:2 w leaked_text",
      ])
    XCTAssertEqual(found["counts"]?["cut_text"]?.integer, 3)
    XCTAssertEqual(try report(ranks: 3, code: 65), found)
    try write("train.jsonl", good.dropLast().joined())
    try write("val.jsonl", pair("p9.jpg", "a far side"))
    XCTAssertEqual(kinds(try report()), [])
  }

  func testWhatStrangersWroteIsShownAndNotInterpreted() throws {
    try prepare()
    let name = "<img src=x onerror=alert(1)>.jpg"
    try save(picture(1), name)
    try write(
      "train.jsonl",
      ask(name, "</p><script>alert(1)</script>", "\"><b>") + line(name, [("human", "<image>\u{202E}x"), ("gpt", "")]))
    try write("val.jsonl", ask("<i>none</i>.jpg"))
    _ = try report(data + ["--html", "page.html"], code: 65)
    let page = String(decoding: try bytes("page.html"), as: UTF8.self)
    for markup in ["<script", "<img src=x", "<b>", "<i>none", "\u{202E}"] {
      XCTAssertFalse(page.contains(markup), markup)
    }
    XCTAssertTrue(page.contains("&lt;i&gt;none&lt;/i&gt;.jpg"))
    XCTAssertTrue(page.contains("&lt;script&gt;alert(1)"))
  }

  func testAnswersThatQuestionsGiveAwayAndGroupsApart() throws {
    try prepare()
    var lines = ""
    for index in 0..<240 {
      try save(picture(UInt64(100 + index)), "g\(index).jpg")
      let isRed = index % 2 == 0
      let skin = index % 4 < 2 || index % 8 == 4 ? "light" : "dark"
      lines += line(
        "g\(index).jpg",
        [
          ("human", "<image>Is the \(isRed ? "warm" : "cold") one red?"),
          ("gpt", isRed && index % 8 != 2 ? "yes" : "no"),
        ],
        "\"skin\": \"\(index % 8 == 2 ? "dark" : skin)\", \"sex\": \"\(index % 3 == 0 && skin == "light" ? "f" : "m")\", \"synthetic\": \(index < 7)"
      )
    }
    try write("train.jsonl", lines)
    let arguments = ["--set", "data.train=[{path: train.jsonl, images: pictures}]", "data.validation=[]"]
    let report = try report(arguments + ["--group-by", "skin", "--group-by", "sex"])
    let kinds = Set(kinds(report).map { String($0.split(separator: " ")[2]) })
    XCTAssertTrue(kinds.isSuperset(of: ["shortcut", "missing_stratum", "outcome_gap"]), "\(kinds)")
    XCTAssertEqual(report["errors"]?.integer, 0)
    let set = try XCTUnwrap(report["sets"]?.array?.first)
    XCTAssertEqual(set["synthetic"]?.integer, 7)
    XCTAssertEqual(set["groups"]?.array?.count, 2)
    let message = (report["faults"]?.array ?? []).first { $0["kind"]?.string == "missing_stratum" }?["message"]?.string
    XCTAssertEqual(message, "no record with skin dark and sex f")
    let plain = try succeed(["check"] + arguments).output
    XCTAssertTrue(plain.contains("--group-by sex (2), --group-by skin (2)"), plain)
  }

  func testTextsWithLabels() throws {
    let model = try LabelledGolden("bert").folder + "/model"
    try write(
      "t.csv",
      "text,label\nfine day,positive\nbad day,negative\nfine day,negative\nbad day,negative\nhm,odd\n,neutral\n")
    try write("v.csv", "text,label\nBad day!,negative\n")
    try write(
      "mmdist.yaml",
      "model: \(model)\ndata: {train: [{path: t.csv}], validation: [{path: v.csv}]}\ntrain: {steps: 1, parts: {language: {train: full}}}\n"
    )
    let report = try report(code: 65)
    XCTAssertEqual(
      kinds(report).map { ($0 as NSString).lastPathComponent },
      [
        "t.csv:4 w conflicting_answers", "t.csv:5 w duplicate_record", "t.csv:6 e bad_label", "t.csv:7 w empty_turn",
        "v.csv:2 w leaked_text",
      ])
    XCTAssertEqual(report["sets"]?.array?.first?["answers"]?.array?.first?["answer"]?.string, "negative")
  }

  func testASecondLookUsesTheFirst() throws {
    try prepare(training: 20)
    try letSettle(path("."))  // files that are younger may change unseen
    let first = try report()
    for index in 0..<20 {
      let name = path("images/train-\(String(format: "%05d", index)).")
      let file = FileManager.default.fileExists(atPath: name + "jpg") ? name + "jpg" : name + "png"
      // A picture that changes is looked at again.
      if index == 3 { try Data("x".utf8).write(to: URL(fileURLWithPath: file)) }
    }
    let second = try report(code: 65)
    XCTAssertEqual(kinds(first), [])
    XCTAssertEqual(kinds(second).count, 1)
    XCTAssertTrue(kinds(second)[0].hasSuffix("train.jsonl:4 e unreadable_image"), "\(kinds(second))")
  }
}
