import Foundation
import Ground
import Jinja
import XCTest

@testable import Tokenizers

/// Conversations with tools against what transformers makes of them.
final class ToolTemplateTests: XCTestCase {
  private struct Conversation {
    let tools: [JSON]
    let messages: [JSON]

    /// With the arguments of calls as text, and with empty contents where there are none.
    func written(asText: Bool, empty: Bool) throws -> [ChatMessage] {
      try messages.map { message in
        var members = message.without(["role", "content"])
        if asText, let calls = members["tool_calls"]?.array {
          let texts = try calls.map { call in
            let function = try XCTUnwrap(call["function"])
            let arguments = try Template("{{ a | tojson }}").render([("a", Value(XCTUnwrap(function["arguments"])))])
              .text
            return call.setting("function", to: function.setting("arguments", to: .string(arguments)))
          }
          members = members.setting("tool_calls", to: .array(texts))
        }
        let text = message["content"]?.string ?? ""
        return ChatMessage(
          role: try XCTUnwrap(message["role"]?.string), content: text.isEmpty ? [] : [.text(text)],
          extras: .init(members: members, hasContent: empty || message["content"]?.isNull == false))
      }
    }
  }

  private func fixture() throws -> (conversations: [String: Conversation], styles: [JSON]) {
    let fixture = try JSON(contentsOf: Fixture.path("tool_chats.json"))
    let conversations = try XCTUnwrap(fixture["conversations"]?.object).mapValues { entry in
      Conversation(tools: entry["tools"]?.array ?? [], messages: entry["messages"]?.array ?? [])
    }
    return (
      Dictionary(uniqueKeysWithValues: conversations.map { ($0.key, $0.value) }),
      try XCTUnwrap(fixture["styles"]?.array)
    )
  }

  private func template(_ style: JSON) throws -> ChatTemplate {
    var variables: [String: JSON] = [:]
    for (name, value) in style["variables"]?.object ?? [:] { variables[name] = value }
    var template = try ChatTemplate(source: try XCTUnwrap(style["source"]?.string), variables: variables)
    template.moment = ChatTemplateFixtureTests.moment
    return template
  }

  /// Every way of writing a call comes out as the one that the template wants; what does not come out is told of.
  func testToolsEqualTransformers() throws {
    let (conversations, styles) = try fixture()
    var compared = 0
    for style in styles {
      let template = try template(style)
      let endTokens = Set(style["end"]?.array?.compactMap(\.string) ?? [])
      for (title, expected) in try XCTUnwrap(style["renders"]?.object) {
        let conversation = try XCTUnwrap(conversations[title])
        for (asText, empty) in [(false, false), (true, false), (false, true), (true, true)] {
          let place = "\(style["name"]?.string ?? ""), \(title), \(asText ? "text" : "object"), \(empty)"
          let messages = try conversation.written(asText: asText, empty: empty)
          if let hidden = expected["hidden"]?.string ?? expected["refused"]?.string {
            XCTAssertThrowsError(
              try template.renderForTraining(messages, tools: conversation.tools, endTokens: endTokens), place
            ) {
              XCTAssertEqual(($0 as? Fault)?.kind, .badData, place)
              XCTAssert(($0 as? Fault)?.what.hasSuffix(hidden) == true, "\(place): \($0)")
            }
            continue
          }
          do {
            let training = try template.renderForTraining(messages, tools: conversation.tools, endTokens: endTokens)
            compared += 1
            XCTAssertEqual(training.text, expected["text"]?.string, place)
            let prompt = try template.render(messages, tools: conversation.tools, addGenerationPrompt: true)
            XCTAssertEqual(prompt, expected["prompt"]?.string, place)
            let spans = try XCTUnwrap(expected["supervised"]?.array).map {
              try XCTUnwrap($0.array?.compactMap(\.integer))
            }
            let bytes = Array(training.text.utf8)
            func shown(_ start: Int, _ end: Int) -> String { String(decoding: bytes[start..<end], as: UTF8.self) }
            XCTAssertEqual(
              training.supervised.map { shown($0.lowerBound, $0.upperBound) }, spans.map { shown($0[0], $0[1]) }, place)
            XCTAssertEqual(training.supervised.map { [$0.lowerBound, $0.upperBound] }, spans, place)
          } catch { XCTFail("\(place): \(error)") }
        }
      }
    }
    XCTAssertGreaterThan(compared, 300)
  }

  func testFormsOfCallsAreFound() throws {
    for style in try fixture().styles {
      let forms = try template(style).callForms
      switch style["name"]?.string {
      case "chatml, tool_call": XCTAssertEqual(forms, CallForms())
      case "bars, calls within calls": XCTAssertEqual(forms, CallForms(takesObjects: false))
      case "function tags": XCTAssertEqual(forms, CallForms(takesTexts: false, takesNoContent: false))
      case "argument tags": XCTAssertEqual(forms, CallForms(takesTexts: false))
      default: break
      }
    }
  }

  /// Arguments that are no JSON object stay as they are, and are refused by a template that wants one.
  func testArgumentsThatAreNoObject() throws {
    let template = try ChatTemplate(
      source: "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        + "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}{% endfor %}{% endfor %}")
    for arguments: JSON in ["no JSON", "[1]", 5] {
      let call: JSON = ["tool_calls": [["type": "function", "function": ["name": "f", "arguments": arguments]]]]
      let messages = [
        ChatMessage(role: "user", text: "a"), ChatMessage(role: "assistant", content: [], extras: .init(members: call)),
      ]
      XCTAssertThrowsError(try template.render(messages, addGenerationPrompt: false)) {
        XCTAssertEqual(($0 as? Fault)?.kind, .badConfiguration)
      }
    }
  }
}
