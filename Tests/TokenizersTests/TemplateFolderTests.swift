import Foundation
import Ground
import Jinja
import XCTest

@testable import Tokenizers

/// Chat templates of a folder against what transformers made of them: `Fixtures/try_templates.py` tells how to try
/// one's own. Skipped without `MMDIST_TEMPLATES`.
final class TemplateFolderTests: XCTestCase {
  private func expectation() throws -> (conversations: JSON, templates: [JSON]) {
    guard let path = ProcessInfo.processInfo.environment["MMDIST_TEMPLATES"] else {
      throw XCTSkip("MMDIST_TEMPLATES names no file that try_templates.py wrote")
    }
    let file = try JSON(contentsOf: path)
    return (try XCTUnwrap(file["conversations"]), try XCTUnwrap(file["templates"]?.array))
  }

  /// How many renderings are equal, and what is different about the first ones of each template.
  private struct Count {
    var equal = 0
    var different: [String] = []

    mutating func note(_ difference: String?) {
      if let difference { different.append(difference) } else { equal += 1 }
    }
  }

  private func report(_ counts: [(String, Count)], _ what: String) {
    let whole = counts.count { $0.1.different.isEmpty }
    print("\(what): \(whole) of \(counts.count) templates, \(counts.map(\.1.equal).reduce(0, +)) equal")
    for (name, count) in counts where !count.different.isEmpty {
      XCTFail(
        "\(name): \(count.different.count) different, \(count.equal) equal\n\(count.different.prefix(3).joined(separator: "\n"))"
      )
    }
  }

  /// Text, refusals and generated spans of the template engine, with the very messages that transformers got.
  func testRenderings() throws {
    let (conversations, templates) = try expectation()
    var counts: [(String, Count)] = []
    for entry in templates {
      let name = entry["name"]?.string ?? ""
      var count = Count()
      let source = try XCTUnwrap(entry["source"]?.string)
      if let problem = entry["invalid"]?.string {
        count.note((try? Template(source)) == nil ? nil : "reads what jinja2 does not: \(problem)")
        counts.append((name, count))
        continue
      }
      do {
        let template = try Template(source, name: name)
        let variables = entry["variables"]?.object ?? [:]
        for (key, results) in try XCTUnwrap(entry["renders"]?.object) {
          let (title, form) = try XCTUnwrap(split(key))
          let conversation = try XCTUnwrap(conversations[title])
          for (which, prompt) in [("plain", false), ("prompt", true)] {
            var all: [(String, Value)] = [
              ("messages", try Value(XCTUnwrap(conversation["forms"]?[form]))),
              ("tools", try Value(conversation["tools"] ?? .null)), ("documents", .none),
              ("add_generation_prompt", .bool(prompt)),
            ]
            for (name, value) in variables { all.append((name, try Value(value))) }
            for (name, value) in conversation["options"]?.object ?? [:] { all.append((name, try Value(value))) }
            count.note(difference(template, all, try XCTUnwrap(results[which])).map { "\(key), \(which): \($0)" })
          }
        }
      } catch { count.note("\(error)") }
      counts.append((name, count))
    }
    report(counts, "renderings")
  }

  private func split(_ key: String) -> (String, String)? {
    key.lastIndex(of: "/").map { (String(key[..<$0]), String(key[key.index(after: $0)...])) }
  }

  private func difference(_ template: Template, _ variables: [(String, Value)], _ expected: JSON) -> String? {
    do {
      let rendering = try template.render(variables, clock: { ChatTemplateFixtureTests.moment })
      guard let text = expected["text"]?.string else { return "made '\(rendering.text)', must not: \(expected)" }
      if Array(text.utf8) != Array(rendering.text.utf8) { return parting(rendering.text, text) }
      let generated = expected["generated"]?.array?.compactMap { $0.array?.compactMap(\.integer) } ?? []
      let ours = rendering.generated.map { [$0.lowerBound, $0.upperBound] }
      return ours == generated ? nil : "generated \(ours), must be \(generated) of \(text.debugDescription)"
    } catch let fault as Fault {
      if let refusal = expected["refused"]?.string {
        return fault.kind == .badData && fault.what.hasSuffix(refusal) ? nil : "\(fault), must refuse: \(refusal)"
      }
      return expected["failed"] != nil && fault.kind == .badConfiguration ? nil : "\(fault), must be \(expected)"
    } catch { return "\(error)" }
  }

  /// Where two texts part, with some text around it.
  private func parting(_ text: String, _ expected: String) -> String {
    let (a, b) = (Array(text.utf8), Array(expected.utf8))
    let start = max(zip(a, b).prefix { $0 == $1 }.count - 40, 0)
    func piece(_ bytes: [UInt8]) -> String { String(decoding: bytes.dropFirst(start).prefix(160), as: UTF8.self) }
    return "\n  is      \(piece(a).debugDescription)\n  must be \(piece(b).debugDescription)"
  }

  /// Conversations as the trainer renders them: in one of the forms that show their contents, with the spans of the rule.
  /// `MMDIST_TEMPLATES_SHOWN` names a file for all of them, with ⟦ ⟧ around what is trained.
  func testTraining() throws {
    let (conversations, templates) = try expectation()
    var counts: [(String, Count)] = []
    var shown = ""
    for entry in templates where entry["invalid"] == nil {
      let name = entry["name"]?.string ?? ""
      let forms = entry["forms"]?.array?.compactMap(\.string) ?? []
      if forms.isEmpty { continue }
      var variables: [String: JSON] = [:]
      for (name, value) in entry["variables"]?.object ?? [:] { variables[name] = value }
      var template = try ChatTemplate(source: try XCTUnwrap(entry["source"]?.string), variables: variables, name: name)
      template.moment = ChatTemplateFixtureTests.moment
      let ends = Set(entry["end"]?.array?.compactMap(\.string) ?? [])
      var count = Count()
      let renders = entry["renders"]?.object ?? [:]
      for (title, conversation) in try XCTUnwrap(conversations.object) {
        guard let messages = messages(conversation) else { continue }
        let tools = conversation["tools"]?.array ?? []
        let ways = ["", " empty", " text", " text empty"]
        let expected = forms.flatMap { form in
          ways.compactMap {
            renders["\(title)/\(form)\($0)"] ?? (form == "mixed" ? renders["\(title)/parts\($0)"] : nil)
          }
        }
        do {
          let training = try template.renderForTraining(messages, tools: tools, endTokens: ends)
          count.note(difference(training, expected).map { "\(title): \($0)" })
          shown += "=== \(name), \(title)\n\(training.bracketed)\n"
        } catch let fault as Fault {
          shown += "=== \(name), \(title)\n\(fault.what)\n"
          let isRight = fault.what.contains("does not show") || expected.contains { $0["plain"]?["text"] == nil }
          count.note(isRight ? nil : "\(title): \(fault)")
        }
      }
      counts.append((name, count))
    }
    if let path = ProcessInfo.processInfo.environment["MMDIST_TEMPLATES_SHOWN"] { try writeDurably(shown, to: path) }
    report(counts, "training")
  }

  private func difference(_ training: TrainingText, _ expected: [JSON]) -> String? {
    let texts = expected.compactMap { $0["plain"]?["text"]?.string }
    guard let match = expected.first(where: { $0["plain"]?["text"]?.string == training.text }) else {
      return texts.first.map { parting(training.text, $0) } ?? "made \(training.text.debugDescription), must not"
    }
    let spans = (match["supervised"] ?? (match["doubt"] == nil ? match["plain"]?["generated"] : nil))?.array
    guard let spans = spans?.compactMap({ $0.array?.compactMap(\.integer) }) else { return nil }
    if joined(training.supervised) == spans { return nil }
    let bytes = Array(training.text.utf8)
    func piece(_ start: Int, _ end: Int) -> String { String(decoding: bytes[start..<end], as: UTF8.self) }
    return "\n  trains     \(training.supervised.map { piece($0.lowerBound, $0.upperBound) })"
      + "\n  must train \(spans.map { piece($0[0], $0[1]) })\n  of \(training.text.debugDescription)"
  }

  /// Spans as pairs, neighbours as one.
  private func joined(_ spans: [Range<Int>]) -> [[Int]] {
    spans.reduce(into: []) { joined, span in
      let start = joined.last?[1] == span.lowerBound ? joined.removeLast()[0] : span.lowerBound
      joined.append([start, span.upperBound])
    }
  }

  /// The messages of a conversation without options.
  private func messages(_ conversation: JSON) -> [ChatMessage]? {
    guard conversation["options"]?.object?.isEmpty != false, let messages = conversation["forms"]?["parts"]?.array
    else {
      return nil
    }
    var found: [ChatMessage] = []
    for message in messages {
      guard let role = message["role"]?.string, let content = message["content"] else { return nil }
      let extras = ChatMessage.Extras(
        members: message.without(["role", "content"]), hasContent: !content.isNull)
      if !extras.hasContent, extras.calls.isEmpty { return nil }
      var parts: [ChatMessage.Part] = []
      switch content {
      case .string(let text) where !text.isEmpty: parts = [.text(text)]
      case .string, .null: break
      case .array(let given):
        if role == "tool" { return nil }  // results are texts
        for part in given { parts.append(part["text"]?.string.map { .text($0) } ?? .image) }
      default: return nil
      }
      found.append(ChatMessage(role: role, content: parts, extras: extras))
    }
    return found
  }
}

extension TrainingText {
  /// The text with ⟦ ⟧ around what is trained.
  fileprivate var bracketed: String {
    var bytes = Array(text.utf8)
    for span in supervised.reversed() {
      bytes.insert(contentsOf: "⟧".utf8, at: span.upperBound)
      bytes.insert(contentsOf: "⟦".utf8, at: span.lowerBound)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
