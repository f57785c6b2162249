import Foundation
import Ground
import Jinja
import XCTest

@testable import Tokenizers

/// Templates in the styles of well-known models against what transformers makes of them.
final class ChatTemplateFixtureTests: XCTestCase {
  /// Friday 26 July 2024, 13:05:09.
  static let moment = Moment(seconds: 1_721_999_109, timeZone: TimeZone(secondsFromGMT: 0) ?? .current)

  private func fixture() throws -> (conversations: [String: [ChatMessage]], styles: [JSON]) {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let fixture = try JSON(contentsOf: folder.appendingPathComponent("Fixtures/chats.json").path)
    var conversations: [String: [ChatMessage]] = [:]
    for (title, messages) in try XCTUnwrap(fixture["conversations"]?.object) {
      conversations[title] = try XCTUnwrap(messages.array).map { message in
        ChatMessage(
          role: try XCTUnwrap(message["role"]?.string),
          content: try XCTUnwrap(message["content"]?.array).map { part in
            part["type"]?.string == "image" ? .image : .text(try XCTUnwrap(part["text"]?.string))
          })
      }
    }
    return (conversations, try XCTUnwrap(fixture["styles"]?.array))
  }

  private func template(_ style: JSON) throws -> ChatTemplate {
    var variables: [String: JSON] = [:]
    for (name, value) in style["variables"]?.object ?? [:] {
      variables[name] = value["content"] ?? value
    }
    var template = try ChatTemplate(
      source: try XCTUnwrap(style["source"]?.string), variables: variables, name: style["name"]?.string ?? "")
    template.moment = ChatTemplateFixtureTests.moment
    return template
  }

  /// Every rendering, byte for byte, and every supervised span.
  func testStylesEqualTransformers() throws {
    let (conversations, styles) = try fixture()
    XCTAssertGreaterThanOrEqual(styles.count, 30)
    var compared = 0
    for style in styles {
      let name = style["name"]?.string ?? ""
      let template = try template(style)
      let endTokens = Set(style["end"]?.array?.compactMap(\.string) ?? [])
      for (title, expected) in try XCTUnwrap(style["renders"]?.object) {
        let place = "\(name), \(title)"
        let messages = try XCTUnwrap(conversations[title])
        if let refusal = expected["error"]?.string {
          XCTAssertThrowsError(try template.render(messages, addGenerationPrompt: false), place) { error in
            XCTAssertEqual((error as? Fault)?.kind, .badData, place)
            XCTAssert((error as? Fault)?.what.hasSuffix(refusal) == true, "\(place): \(error)")
          }
          continue
        }
        let training = try template.renderForTraining(messages, endTokens: endTokens)
        let prompt = try template.render(messages, addGenerationPrompt: true)
        equal(training.text, expected["text"]?.string, place)
        equal(prompt, expected["prompt"]?.string, "\(place), prompt")
        let spans = try XCTUnwrap(expected["supervised"]?.array).map { span in
          let ends = try XCTUnwrap(span.array?.compactMap(\.integer))
          return ends[0]..<ends[1]
        }
        let bytes = Array(training.text.utf8)
        func shown(_ spans: [Range<Int>]) -> [String] { spans.map { String(decoding: bytes[$0], as: UTF8.self) } }
        XCTAssertEqual(training.supervised, spans, "\(place): \(shown(training.supervised)) must be \(shown(spans))")
        compared += 1
      }
    }
    XCTAssertGreaterThan(compared, 450)
  }

  func testFormsOfContentAreFound() throws {
    for style in try fixture().styles {
      let template = try template(style)
      for (role, form) in try XCTUnwrap(style["forms"]?.object) {
        // What a template that refuses a role would want is of no consequence.
        if role == "system", ["gemma", "mistral"].contains(style["name"]?.string) { continue }
        XCTAssertEqual(
          template.forms[role], form.string == "parts" ? .parts : .string, "\(style["name"]?.string ?? ""), \(role)")
      }
    }
  }

  private func equal(_ text: String, _ expected: String?, _ place: String) {
    if Array(text.utf8) != Array((expected ?? "").utf8) {
      XCTFail("\(place)\n  is      \(text.debugDescription)\n  must be \((expected ?? "").debugDescription)")
    }
  }
}
