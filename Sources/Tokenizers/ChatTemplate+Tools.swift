import Ground
import Jinja

/// Tools in conversations: functions that the assistant may call, its calls, and their results.
///
/// The field writes them in one way, that of OpenAI, but for two points where templates differ: whether the arguments of
/// a call are an object or its JSON text, and whether a turn that only calls has no content or an empty one. What a
/// record has goes to the template as it is, unless only the other way comes out right.
struct CallForms: Equatable, Sendable {
  /// Whether arguments as an object, and as text, come out as JSON.
  var takesObjects = true
  var takesTexts = true
  /// Whether calls come out of a turn without content, and of one with an empty content.
  var takesNoContent = true
  var takesEmptyContent = true

  /// The message as the template can show it.
  func fitted(_ message: ChatMessage) -> ChatMessage {
    let calls = message.extras.calls
    if calls.isEmpty { return message }
    var message = message
    if message.content.isEmpty, takesNoContent != takesEmptyContent { message.extras.hasContent = takesEmptyContent }
    if takesObjects != takesTexts {
      message.extras.members = message.extras.members.setting("tool_calls", to: .array(calls.map(fitted(call:))))
    }
    return message
  }

  private func fitted(call: JSON) -> JSON {
    guard let function = call["function"], let arguments = function["arguments"] else { return call }
    let other: JSON? =
      switch arguments {
      case .string(let text) where takesObjects:
        (try? JSON(parsing: text, at: "arguments")).flatMap { $0.object == nil ? nil : $0 }
      case .object where takesTexts: (try? CallForms.text(of: arguments)).map { .string($0) }
      default: nil
      }
    return other.map { call.setting("function", to: function.setting("arguments", to: $0)) } ?? call
  }

  /// JSON as Python writes it.
  private static func text(of json: JSON) throws -> String {
    try Template("{{ json | tojson }}").render([("json", try Value(json))]).text
  }
}

extension ChatMessage.Extras {
  /// A call that probes a template.
  static let probe = calling(["probe": "value"], hasContent: true)
  static let probeResult = ChatMessage.Extras(members: ["tool_call_id": "probe0000", "name": "probe_it"])

  static func calling(_ arguments: JSON, hasContent: Bool) -> ChatMessage.Extras {
    ChatMessage.Extras(
      members: [
        "tool_calls": [
          ["id": "probe0000", "type": "function", "function": ["name": "probe_it", "arguments": arguments]]
        ]
      ], hasContent: hasContent)
  }

  /// The names under which a message's thoughts are written, that of transformers first.
  public static let reasoningNames = ["reasoning_content", "thinking", "reasoning"]

  /// What the assistant thought before it spoke.
  var reasoning: JSON? {
    ChatMessage.Extras.reasoningNames.lazy.compactMap { members[$0] }.first { !$0.isNull }
  }

  /// The members as a template reads them; what is said in them carries the mark of the message.
  func values(_ message: Int) throws -> [(String, Value)] {
    var values: [(String, Value)] = []
    for (name, member) in members.object ?? [:] where name != "tool_calls" {
      values.append((name, try Value(member, mark: ChatMessage.Extras.reasoningNames.contains(name) ? message : nil)))
    }
    if let reasoning {
      // As transformers does: templates read it under one name or the other.
      for name in ["reasoning_content", "thinking"] {
        values.removeAll { $0.0 == name }
        values.append((name, try Value(reasoning, mark: message)))
      }
    }
    if members["tool_calls"] != nil {
      let calls = try calls.enumerated().map { number, call in
        try Value(call, mark: ContentMark(message: message, part: .call(number)).number)
      }
      values.append(("tool_calls", try Value(list: calls)))
    }
    return values
  }
}

extension ChatTemplate {
  func value(ofTools tools: [JSON]) throws -> Value {
    if tools.isEmpty { return .none }
    return try Value(
      list: tools.enumerated().map { try Value($1, mark: ContentMark(message: 0, part: .tool($0)).number) })
  }

  /// Finds out by looking how the template wants calls.
  func findCallForms() -> CallForms {
    let question = ChatMessage(role: "user", text: "before")
    let result = ChatMessage(role: "tool", content: [.text("after")], extras: .probeResult)
    func rendered(_ arguments: JSON, hasContent: Bool, _ rest: [ChatMessage]) -> String? {
      let call = ChatMessage(role: "assistant", content: [], extras: .calling(arguments, hasContent: hasContent))
      guard let rendering = try? rendering([question, call] + rest, tools: [], addGenerationPrompt: false) else {
        return nil
      }
      // Of an object printed by Python, and of a text quoted again, no such thing is left.
      let isMangled = ["{'probe'", "\\\"probe\\\""].contains(where: rendering.text.contains)
      return !isMangled && rendering.calls.contains(ContentMark(message: 1, part: .call(0)).number)
        ? rendering.text : nil
    }
    let ways: [JSON] = [["probe": "value"], "{\"probe\": \"value\"}"]
    // What works where the conversation goes on matters; where no result is taken, the call alone.
    for rest in [[result], []] {
      let empty = ways.map { rendered($0, hasContent: true, rest) }
      let silent = zip(ways, empty).map { way, empty -> String? in
        guard let text = rendered(way, hasContent: false, rest) else { return nil }
        // A content that is not there must not be printed as Python's None.
        return empty.map { text.countOf("None") > $0.countOf("None") } == true ? nil : text
      }
      if (empty + silent).allSatisfy({ $0 == nil }) { continue }
      return CallForms(
        takesObjects: empty[0] != nil || silent[0] != nil, takesTexts: empty[1] != nil || silent[1] != nil,
        takesNoContent: silent.contains { $0 != nil }, takesEmptyContent: empty.contains { $0 != nil })
    }
    // It shows no calls, which is told where there are some; until then an empty content does less harm than none.
    return CallForms(takesNoContent: false)
  }

  /// What is there of tools must come out: a template that knows nothing of them leaves them out without a word.
  /// - Throws: `Fault(.badData)`.
  func check(_ rendering: Rendering, shows messages: [ChatMessage], _ tools: [JSON]) throws {
    let marks = Set(rendering.marked.map(\.mark))
    func require(_ isShown: Bool, _ what: String) throws {
      if isShown { return }
      throw Fault(
        .badData, "the chat template does not show \(what)",
        "use a chat template that does, or write it into the text of the turns")
    }
    if !tools.isEmpty, !marks.contains(where: { ContentMark($0).owner == nil }) {
      let without = try? self.rendering(messages, tools: [], addGenerationPrompt: false).text
      let with = try self.rendering(messages, tools: tools, addGenerationPrompt: false).text
      try require(without != with, "tools")
    }
    for (index, message) in messages.enumerated() {
      let turn = "turn \(index + 1)"
      for call in message.extras.calls.indices {
        let mark = ContentMark(message: index, part: .call(call)).number
        try require(marks.contains(mark), "the call of a tool in \(turn)")
      }
      if message.role == "tool", message.hasWords {
        try require(marks.contains { ContentMark($0).owner == index }, "the result of a tool in \(turn)")
      }
    }
    // Templates leave out what was thought in earlier turns, but not in the last.
    if let last = messages.lastIndex(where: { $0.role == "assistant" }),
      messages[last].extras.reasoning?.string?.isBlank == false
    {
      var bare = messages
      bare[last].extras.members = bare[last].extras.members.without(ChatMessage.Extras.reasoningNames)
      let without = try? self.rendering(bare, tools: tools, addGenerationPrompt: false).text
      let with = try self.rendering(messages, tools: tools, addGenerationPrompt: false).text
      try require(without != with, "the reasoning of turn \(last + 1)")
    }
  }
}

extension ChatMessage {
  /// Whether its content is more than white space.
  fileprivate var hasWords: Bool {
    content.contains { part in
      switch part {
      case .text(let text), .named(let text, _): !text.isBlank
      case .image: true
      }
    }
  }
}

extension String {
  fileprivate var isBlank: Bool { allSatisfy(\.isWhitespace) }
  fileprivate func countOf(_ word: String) -> Int { split(separator: word, omittingEmptySubsequences: false).count - 1 }
}

extension Rendering {
  /// The marks of calls that came out.
  fileprivate var calls: Set<Int> {
    Set(marked.map(\.mark).filter { if case .call = ContentMark($0).part { true } else { false } })
  }
}
