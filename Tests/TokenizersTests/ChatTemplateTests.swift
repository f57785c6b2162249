import Foundation
import Ground
import XCTest

@testable import Tokenizers

final class ChatTemplateTests: XCTestCase {
  private func supervised(
    _ source: String, _ messages: [ChatMessage], end: Set<String> = ["<e>"]
  ) throws -> (text: String, spans: [String]) {
    let training = try ChatTemplate(source: source).renderForTraining(messages, endTokens: end)
    let bytes = Array(training.text.utf8)
    return (training.text, training.supervised.map { String(decoding: bytes[$0], as: UTF8.self) })
  }

  private func talk(_ contents: String...) -> [ChatMessage] {
    contents.enumerated().map { ChatMessage(role: $0.offset % 2 == 0 ? "user" : "assistant", text: $0.element) }
  }

  private static let turns =
    "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<e>\n{% endfor %}{% if add_generation_prompt %}<assistant>PROMPT{% endif %}"

  // MARK: Where supervision begins

  func testPromptWithMoreThanTheTurnEndsWhereTheyPart() throws {
    let source = ChatTemplateTests.turns.replacingOccurrences(of: "PROMPT", with: "<think>\n\n</think>\n\n")
    XCTAssertEqual(try supervised(source, talk("a", "b", "c", "d")).spans, ["b<e>", "d<e>"])
    // What content and prompt have in common belongs to the content.
    XCTAssertEqual(try supervised(source, talk("a", "<thorn>", "c", "<t")).spans, ["<thorn><e>", "<t<e>"])
    // The content is the prompt itself: it is not learned.
    XCTAssertEqual(try supervised(source, talk("a", "<think>\n\n</think>\n\nb")).spans, ["b<e>"])
  }

  func testPromptPartsBetweenTags() throws {
    // The prompt opens thoughts, the turn closes them: both begin with "<".
    let source =
      "{% for m in messages %}<{{ m.role }}>{{ '</think>' if m.role == 'assistant' }}{{ m.content }}<e>{% endfor %}"
      + "{% if add_generation_prompt %}<assistant><think>{% endif %}"
    XCTAssertEqual(try supervised(source, talk("a", "b", "c", "d")).spans, ["</think>b<e>", "</think>d<e>"])
    // White space is all that they have in common.
    let indented =
      "{% for m in messages %}\n  {{ m.role }}: {{ m.content }}<e>{% endfor %}"
      + "{% if add_generation_prompt %}\nASSISTANT:{% endif %}"
    XCTAssertEqual(try supervised(indented, talk("a", "b", "c", "d")).spans, ["b<e>", "d<e>"])
  }

  func testPromptThatEndsBeforeTheSpace() throws {
    let source =
      "{% for m in messages %}{{ m.role | upper }}: {{ m.content }}{{ '<e>' if m.role == 'assistant' }} {% endfor %}"
      + "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    XCTAssertEqual(try supervised(source, talk("a", "b", "c", "d")).spans, [" b<e>", " d<e>"])
  }

  func testHistoryThatChangesAsTheConversationGoesOn() throws {
    // The first turn loses its thoughts only once there is a second one.
    let source =
      "{% for m in messages %}<{{ m.role }}>{{ m.content if loop.last else m.content.split('</t>')[-1] }}<e>{% endfor %}"
      + "{% if add_generation_prompt %}<assistant>{% endif %}"
    XCTAssertEqual(
      try supervised(source, talk("a", "<t>x</t>b", "c", "<t>y</t>d", "e", "<t>z</t>f")).spans,
      ["b<e>", "d<e>", "<t>z</t>f<e>"])
    // The number of messages stands in front, so that no rendering begins with another.
    let counted =
      "{{ messages | length }} " + ChatTemplateTests.turns.replacingOccurrences(of: "PROMPT", with: "<think>")
    XCTAssertEqual(
      try supervised(counted, talk("<assistant>", "b", "b", "<assistant>")).spans, ["b<e>", "<assistant><e>"])
  }

  func testTurnWithoutPromptBeginsWithItsContent() throws {
    // No rendering of the first message alone.
    let source =
      "{% if messages | length < 2 %}{{ raise_exception('more') }}{% endif %}"
      + "{% for m in messages %}<{{ m.role }}>{{ m.content }}<e>{% endfor %}"
    XCTAssertEqual(try supervised(source, talk("a", "b", "c", "d")).spans, ["b<e>", "<assistant>d<e>"])
    XCTAssertEqual(
      try supervised(ChatTemplateTests.turns, [ChatMessage(role: "assistant", text: "a")]).spans, ["a<e>"])
  }

  /// Of a conversation whose beginnings are more than are kept, every turn is found as in a short one.
  func testALongConversation() throws {
    let source = ChatTemplateTests.turns.replacingOccurrences(of: "PROMPT", with: "")
    let filling = String(repeating: "a question of some length ", count: 800)
    let turns = (0..<80).map { turn in
      ChatMessage(
        role: turn % 2 == 0 ? "user" : "assistant", text: turn % 2 == 0 ? "\(filling)\(turn)" : "answer \(turn)")
    }
    let found = try supervised(source, turns)
    XCTAssertEqual(found.spans, stride(from: 1, to: 80, by: 2).map { "answer \($0)<e>" })
    XCTAssertGreaterThan(found.text.utf8.count * 40, 16 << 20)
  }

  // MARK: Where supervision ends

  func testEndTokenOfTheTurnItself() throws {
    let plain =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    // The next turn's header is a special token too, but does not end this turn.
    XCTAssertEqual(try supervised(plain, talk("a", "b", "c", "d"), end: ["<user>", "<assistant>"]).spans, ["b", "d"])
    let longest = ChatTemplateTests.turns.replacingOccurrences(of: "PROMPT", with: "")
    XCTAssertEqual(try supervised(longest, talk("a", "b"), end: ["<e", "<e>", ">\n"]).spans, ["b<e>"])
    // An end token in the content is content.
    XCTAssertEqual(try supervised(longest, talk("<e>", "b<e>c")).spans, ["b<e>c<e>"])
    XCTAssertEqual(try supervised(longest, talk("a", "b"), end: []).spans, ["b"])
    // Nothing to say is still an end to learn.
    XCTAssertEqual(try supervised(longest, talk("a", "", "b", "c")).spans, ["<e>", "c<e>"])
  }

  func testGenerationTagsDecide() throws {
    let source =
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}.{% endgeneration %}{% else %}{{ m.content }}{% endif %}<e>{% endfor %}"
    let result = try supervised(source, talk("é", "b", "c", "d"))
    XCTAssertEqual(result.text, "é<e>b.<e>c<e>d.<e>")
    XCTAssertEqual(result.spans, ["b.", "d."])
  }

  // MARK: Whose turns

  /// The speakers and texts of what is supervised.
  private func pieces(_ source: String, _ messages: [ChatMessage], trained: Set<Int>?) throws -> [String] {
    let training = try ChatTemplate(source: source).renderForTraining(messages, endTokens: ["<e>"], trained: trained)
    let bytes = Array(training.text.utf8)
    return zip(training.speakers, training.supervised).map { "\($0) \(String(decoding: bytes[$1], as: UTF8.self))" }
  }

  func testChosenTurns() throws {
    let messages = [ChatMessage(role: "system", text: "s")] + talk(" a ", "b", "é", "d")
    let source = ChatTemplateTests.turns.replacingOccurrences(of: "PROMPT", with: "")
    XCTAssertEqual(try pieces(source, messages, trained: nil), ["2 b<e>", "4 d<e>"])
    XCTAssertEqual(try pieces(source, messages, trained: [4]), ["4 d<e>"])
    // Of other turns the content, as the template prints it, and its end.
    XCTAssertEqual(try pieces(source, messages, trained: [0, 1, 3, 4]), ["0 s<e>", "1 a<e>", "3 é<e>", "4 d<e>"])
    XCTAssertEqual(try pieces(source, messages, trained: []), [])
    // An empty turn of the user has nothing to say; one of the assistant has its end.
    XCTAssertEqual(try pieces(source, talk("", "", "c", "d"), trained: [0, 1, 2]), ["1 <e>", "2 c<e>"])
    // The system's words stand inside the user's turn, and no end token follows them there.
    let joined =
      "{% for m in messages %}{% if m.role == 'system' %}{% set ns.s = m.content %}{% else %}"
      + "<{{ m.role }}>{{ ns.s if m.role == 'user' }} {{ m.content }}<e>{% endif %}{% endfor %}"
      + "{% if add_generation_prompt %}<assistant> {% endif %}"
    XCTAssertEqual(
      try pieces("{% set ns = namespace(s='') %}" + joined, Array(messages[..<3]), trained: [0, 1, 2]),
      ["0 s", "1  a <e>", "2 b<e>"])
  }

  func testGeneratedPiecesHaveTheirSpeakers() throws {
    let inside = "{% generation %}{{ m.content }}{% endgeneration %}{% generation %}<e>{% endgeneration %}"
    let source =
      "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}\(inside){% else %}{{ m.content }}<e>{% endif %}\n{% endfor %}"
    let all = talk("a", "b", "c", "", "e", "f")
    XCTAssertEqual(try pieces(source, all, trained: nil), ["1 b<e>", "3 <e>", "5 f<e>"])
    XCTAssertEqual(try pieces(source, all, trained: [3]), ["3 <e>"])
    XCTAssertEqual(try pieces(source, all, trained: [5, 2]), ["2 c<e>", "5 f<e>"])
    // Text between the content and its end is the turn's own.
    let parted = source.replacingOccurrences(of: "{% generation %}<e>", with: "|{% generation %}<e>")
    XCTAssertEqual(try pieces(parted, all, trained: [1, 3]), ["1 b", "1 <e>", "3 <e>"])
    // Two turns in one piece.
    let whole =
      "{% generation %}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }},{% endif %}{% endfor %}{% endgeneration %}"
    XCTAssertEqual(try pieces(whole, talk("a", "b", "c", "d"), trained: nil), ["1 b,", "3 d,"])
    XCTAssertEqual(try pieces(whole, talk("a", "b", "c", "d"), trained: [3]), ["3 d,"])
  }

  // MARK: Pictures

  func testPicturesInBothForms() throws {
    let message = ChatMessage(role: "user", content: [.text("a "), .image, .text(" b "), .image])
    let string = try ChatTemplate(source: "{% for m in messages %}{{ m.content }}{% endfor %}")
    XCTAssertEqual(try string.render([message], addGenerationPrompt: false), "a <image> b <image>")
    let parts = try ChatTemplate(
      source:
        "{% for m in messages %}{% for p in m.content %}{{ '<i>' if p.type == 'image' else p.text }}{% endfor %}{% endfor %}"
    )
    XCTAssertEqual(try parts.render([message], addGenerationPrompt: false), "a <i> b <i>")
    // A list form that drops pictures is worse than a string.
    let dropping = try ChatTemplate(
      source:
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content | selectattr('type', 'eq', 'text') | map(attribute='text') | join }}{% endif %}{% endfor %}"
    )
    XCTAssertEqual(try dropping.render([message], addGenerationPrompt: false), "a <image> b <image>")
  }

  // MARK: Files

  private func folder(_ files: [String: String]) throws -> String {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("chat-template-\(UUID().uuidString)").path
    try makeFolder(path)
    for (name, text) in files { try writeDurably(text, to: "\(path)/\(name)") }
    addTeardownBlock { try? FileManager.default.removeItem(atPath: path) }
    return path
  }

  private func rendered(_ files: [String: String]) throws -> String {
    try ChatTemplate(modelFolder: try folder(files)).render([], addGenerationPrompt: false)
  }

  func testTemplateIsFoundInItsFiles() throws {
    var files = ["tokenizer_config.json": #"{"chat_template": "from tokenizer", "bos_token": "<s>"}"#]
    XCTAssertEqual(try rendered(files), "from tokenizer")
    files["processor_config.json"] = #"{"chat_template": "from processor"}"#
    XCTAssertEqual(try rendered(files), "from processor")
    files["processor_config.json"] = #"{"image_seq_length": 4}"#
    XCTAssertEqual(try rendered(files), "from tokenizer")
    files["chat_template.json"] = #"{"chat_template": "from json"}"#
    XCTAssertEqual(try rendered(files), "from json")
    files["chat_template.jinja"] = "from jinja\n"
    XCTAssertEqual(try rendered(files), "from jinja")
    for entry in [
      #"[{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "chosen"}]"#,
      #"{"rag": "rag", "default": "chosen"}"#, #"[{"name": "only", "template": "chosen"}]"#,
    ] { XCTAssertEqual(try rendered(["tokenizer_config.json": "{\"chat_template\": \(entry)}"]), "chosen") }
  }

  func testModelsWithoutTemplate() throws {
    XCTAssertNil(try ChatTemplate.load(modelFolder: try folder(["tokenizer_config.json": #"{"chat_template": null}"#])))
    XCTAssertThrowsError(try ChatTemplate(modelFolder: try folder([:]))) { error in
      XCTAssertEqual((error as? Fault)?.kind, .missingInput)
      XCTAssert((error as? Fault)?.remedy.contains("chat_template.jinja") == true)
    }
  }

  func testFaultsOfFiles() throws {
    func kind(_ files: [String: String]) throws -> Fault? {
      let path = try folder(files)
      do { _ = try ChatTemplate(modelFolder: path) } catch let fault as Fault { return fault }
      XCTFail("no fault: \(files)")
      return nil
    }
    XCTAssertEqual(try kind(["tokenizer_config.json": #"{"chat_template": 5}"#])?.kind, .badData)
    XCTAssertEqual(
      try kind([
        "tokenizer_config.json": #"{"chat_template": [{"name": "a", "template": "x"}, {"name": "b", "template": "y"}]}"#
      ])?.kind, .badData)
    XCTAssertEqual(try kind(["tokenizer_config.json": "{"])?.kind, .badData)
    let broken = try kind(["chat_template.jinja": "a\n{% if %}"])
    XCTAssertEqual(broken?.kind, .badConfiguration)
    XCTAssert(broken?.place?.hasSuffix("chat_template.jinja:2") == true, "\(String(describing: broken))")
    let path = try folder([:])
    try writeDurably(Data([0x61, 0xFF]), to: path + "/chat_template.jinja")
    XCTAssertThrowsError(try ChatTemplate(modelFolder: path)) { XCTAssertEqual(($0 as? Fault)?.kind, .badData) }
  }

  func testSpecialTokens() throws {
    let print = "{{ bos_token }}|{{ eos_token }}|{{ pad_token is defined }}|{{ unk_token }}"
    let map =
      #"{"bos_token": {"content": "<m>", "lstrip": false}, "unk_token": "<u>", "additional_special_tokens": ["<x>", {"content": "<y>"}]}"#
    let configuration =
      #"{"bos_token": {"content": "<b>"}, "eos_token": "<e>", "pad_token": null, "extra_special_tokens": {"image_token": "<i>"}"#
    // A configuration of the old form: the map goes first.
    var template = try ChatTemplate(
      modelFolder: try folder([
        "chat_template.jinja": print, "tokenizer_config.json": configuration + "}", "special_tokens_map.json": map,
      ]))
    XCTAssertEqual(try template.render([], addGenerationPrompt: false), "<m>|<e>|False|<u>")
    XCTAssertEqual(template.specialTokens, ["<b>", "<e>", "<i>", "<m>", "<u>", "<x>", "<y>"])
    // One of the new form: the map names nothing.
    let added = #", "added_tokens_decoder": {"5": {"content": "<s5>", "special": true}, "6": {"content": "no"}}}"#
    template = try ChatTemplate(
      modelFolder: try folder([
        "chat_template.jinja": print, "tokenizer_config.json": configuration + added, "special_tokens_map.json": map,
      ]))
    XCTAssertEqual(try template.render([], addGenerationPrompt: false), "<b>|<e>|False|")
    XCTAssert(template.specialTokens.contains("<s5>") && !template.specialTokens.contains("no"))
  }

  /// A conversation of 640 turns of a thousand letters takes about two seconds.
  func testLongConversations() throws {
    let source = ChatTemplateTests.turns.replacingOccurrences(of: "PROMPT", with: "")
    let messages = (0..<640).map {
      ChatMessage(role: $0 % 2 == 0 ? "user" : "assistant", text: String(repeating: "é", count: 1000))
    }
    let template = try ChatTemplate(source: source)
    let start = ContinuousClock.now
    XCTAssertEqual(try template.renderForTraining(messages, endTokens: ["<e>"]).supervised.count, 320)
    XCTAssertLessThan(ContinuousClock.now - start, .seconds(20))
  }
}
