import Foundation
import Ground
import Tokenizers
import XCTest

@testable import Datasets

/// Records with tools, in the ways in which the field writes them.
final class ToolRecordTests: XCTestCase {
  private func record(_ line: String, info: String? = nil) throws -> Record {
    let folder = try TemporaryFolder()
    let path = try folder.write(line, to: "a.jsonl")
    guard let info else { return try RecordSource(path: path, images: "/p").record(0) }
    let file = try DataFile(folder.write(info, to: "dataset_info.json"), dataset: "a")
    return try RecordSource(file, images: "/p", format: "auto").record(0)
  }

  private func what(_ line: String) throws -> String { try thrownFault { _ = try record(line) }.what }

  private static let weather: JSON = ["name": "weather", "parameters": ["type": "object"]]
  private static let whole: JSON = ["type": "function", "function": weather]
  private static let call: JSON = [
    "type": "function", "function": ["name": "weather", "arguments": ["place": "Ulm"]],
  ]

  func testMessages() throws {
    let found = try record(
      #"""
      {"tools": [\#(ToolRecordTests.whole)], "messages": [{"role": "user", "content": "Warm?"}, \#
      {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [\#(ToolRecordTests.call)]}, \#
      {"role": "tool", "tool_call_id": "1", "name": "weather", "content": "21"}, {"role": "assistant", "content": "Yes."}]}
      """#)
    XCTAssertEqual(found.turns.map(\.role), [.user, .assistant, .tool, .assistant])
    XCTAssertEqual(found.turns.map(\.text), ["Warm?", "", "21", "Yes."])
    XCTAssertEqual(found.turns[0].tools, [ToolRecordTests.whole])
    XCTAssertEqual(
      found.turns[1].extras,
      ChatMessage.Extras(
        members: ["tool_calls": [ToolRecordTests.call], "reasoning_content": "hm"], hasContent: false))
    XCTAssertEqual(found.turns[2].extras.members, ["tool_call_id": "1", "name": "weather"])
    XCTAssertNil(found.metadata["tools"])
  }

  /// The same in ShareGPT's words, with JSON as text, and under names of one's own.
  func testShareGPT() throws {
    let text = JSON.array([ToolRecordTests.weather]).description
    let said = #"{\"name\": \"weather\", \"arguments\": {\"place\": \"Ulm\"}}"#
    let tools = JSON.string(text).description
    let turns =
      #"{"from": "human", "value": "Warm?"}, {"from": "function_call", "value": "\#(said)"}, "#
      + #"{"from": "observation", "value": "21"}, {"from": "gpt", "value": "Yes."}"#
    let plain = try record(#"{"conversations": [\#(turns)], "tools": \#(tools)}"#)
    XCTAssertEqual(plain.turns.map(\.role), [.user, .assistant, .tool, .assistant])
    XCTAssertEqual(plain.turns[0].tools, [ToolRecordTests.whole])
    XCTAssertEqual(
      plain.turns[1].extras, ChatMessage.Extras(members: ["tool_calls": [ToolRecordTests.call]], hasContent: false))
    let own = turns.replacingOccurrences(of: "function_call", with: "call").replacingOccurrences(
      of: "observation", with: "result")
    let named = try record(
      #"{"turns": [\#(own)], "functions": \#(tools)}"#,
      info: #"{"a": {"file_name": "a.jsonl", "formatting": "sharegpt", "#
        + #""columns": {"messages": "turns", "tools": "functions"}, "#
        + #""tags": {"function_tag": "call", "observation_tag": "result"}}}"#)
    XCTAssertEqual(named.turns, plain.turns)
    // Several calls at once, behind thoughts.
    let calls = "<think>hm</think>[\(said), \(said)]"
    let thought = try record(
      #"{"conversations": [{"from": "human", "value": "?"}, {"from": "function_call", "value": "\#(calls)"}]}"#
    ).turns[1]
    XCTAssertEqual(thought.text, "<think>hm</think>")
    XCTAssertEqual(thought.extras.calls, [ToolRecordTests.call, ToolRecordTests.call])
    XCTAssert(thought.extras.hasContent)
  }

  func testWhatIsNoTools() throws {
    // Names of instruments in a picture are metadata, and so is what stands beside a caption.
    let found = try record(
      #"{"tools": ["clamp"], "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#)
    XCTAssertEqual(found.turns, [Turn(.user, "a"), Turn(.assistant, "b")])
    XCTAssertEqual(found.metadata["tools"], ["clamp"])
    for empty in ["null", "[]", #""""#, #""[]""#] {
      let line = #"{"tools": \#(empty), "messages": [{"role": "user", "content": "a", "tool_calls": null}]}"#
      XCTAssertEqual(try record(line).turns, [Turn(.user, "a")], empty)
    }
    XCTAssertEqual(try record(#"{"image": "i", "text": "b", "tools": [{}]}"#).turns[0].tools, [])
  }

  func testFaults() throws {
    func turn(_ members: String, _ role: String = "assistant") -> String {
      #"{"messages": [{"role": "\#(role)", "content": "a", \#(members)}]}"#
    }
    for (line, says) in [
      (turn(#""tool_calls": [{}]"#), "'tool_calls' of turn 1 names no function"),
      (turn(#""tool_calls": 5"#), "'tool_calls' of turn 1 is a number, not a list of calls"),
      (turn(#""tool_calls": "[{]""#), "'tool_calls' of turn 1 is no JSON"),
      (
        turn(#""tool_calls": [{"name": "f", "arguments": 5}]"#),
        "the arguments of 'f', 'tool_calls' of turn 1, are a number"
      ),
      (turn(#""tool_calls": [{"name": "f"}]"#, "user"), "turn 1 is the user's and calls tools"),
      (#"{"conversations": [{"from": "function_call", "value": "weather()"}]}"#, "the call in turn 1 is no JSON"),
      (#"{"conversations": [{"from": "function_call", "value": "[]"}]}"#, "the call in turn 1 is empty"),
      (#"{"conversations": [{"from": "function_call", "value": "{}"}]}"#, "the call in turn 1 names no function"),
      (#"{"tools": "[{", "messages": [{"role": "user", "content": "a"}]}"#, "'tools' is no JSON"),
      (
        #"{"tools": [{"type": "function"}], "messages": [{"role": "user", "content": "a"}]}"#,
        "tool 1 of 'tools' has no name"
      ),
    ] {
      let fault = try what(line)
      XCTAssert(fault.hasPrefix(says), "\(fault) must be \(says)")
    }
  }

  /// A turn that calls is trained like any other; a template that shows no tools is a fault, not a loss.
  func testSamples() throws {
    let source =
      "{% for t in tools or [] %}<{{ t.function.name }}>{% endfor %}{% for m in messages %}{{ m.role }}: {{ m.content or '' }}"
      + "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    let line = #"""
      {"tools": [\#(ToolRecordTests.whole)], "messages": [{"role": "user", "content": "a"}, \#
      {"role": "assistant", "tool_calls": [\#(ToolRecordTests.call)]}, {"role": "tool", "content": "21"}, \#
      {"role": "assistant", "content": "b"}]}
      """#
    let record = try record(line)
    let tokenizer = try Fixtures.tokenizer()
    func sample(_ source: String) throws -> Sample {
      try Processor(
        tokenizer: tokenizer, template: try ChatTemplate(source: source, specialTokens: ["</s>"]), vision: nil,
        maxLength: 1000
      ).sample(record)
    }
    let made = try sample(source)
    let trained = zip(made.ids, made.supervised).filter(\.1).map { Int($0.0) }
    XCTAssertEqual(
      tokenizer.decode(trained, skipSpecialTokens: false),
      #"{"name": "weather", "arguments": {"place": "Ulm"}}</s>b</s>"#)
    let silent = source.replacingOccurrences(of: "tools or []", with: "[]")
    XCTAssertEqual(try thrownFault { _ = try sample(silent) }.what, "the chat template does not show tools")
    let mute = source.replacingOccurrences(of: "m.tool_calls or []", with: "[]")
    XCTAssertEqual(
      try thrownFault { _ = try sample(mute) }.what, "the chat template does not show the call of a tool in turn 2")
  }
}
