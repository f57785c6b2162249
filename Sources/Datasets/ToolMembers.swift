import Ground
import Tokenizers

/// Tools as records have them: OpenAI's `tools`, `tool_calls` and `tool` messages, and ShareGPT's `function_call` and
/// `observation` turns, which mean the same.
enum ToolMembers {
  /// The functions in the member `key` of a record: a list of JSON schemas, or its text. A schema without
  /// `{"type": "function", "function": …}` around it is given that. A list of anything but objects tells something else.
  static func tools(of record: JSON, at key: String) throws -> [JSON] {
    guard let value = record[key], let list = try list(value, at: "'\(key)'"), !list.isEmpty else { return [] }
    return try list.enumerated().map { number, tool in
      let whole: JSON = tool["function"] == nil ? ["type": "function", "function": tool] : tool
      guard let name = whole["function"]?["name"]?.string, !name.isEmpty else {
        throw Fault(
          .badData, "tool \(number + 1) of '\(key)' has no name",
          "write {\"type\": \"function\", \"function\": {\"name\", \"description\", \"parameters\"}}")
      }
      return whole
    }
  }

  /// A list of objects, as such or as JSON text; nil where it is something else.
  private static func list(_ value: JSON, at place: String) throws -> [JSON]? {
    var value = value
    if let text = value.string {
      guard let first = text.first(where: { !$0.isWhitespace }), "[{".contains(first) else { return nil }
      value = try parsed(text, at: place)
    }
    if value.object != nil { value = [value] }
    guard let list = value.array, list.contains(where: { $0.object != nil }) else { return nil }
    return list
  }

  private static func parsed(_ text: String, at place: String) throws -> JSON {
    do {
      return try JSON(parsing: text, at: place)
    } catch let fault as Fault {
      throw Fault(.badData, "\(place) is no JSON: \(fault.what)", "write a JSON list, or its text")
    }
  }

  /// What a turn has beside its role and content, as templates read it.
  static func extras(of turn: JSON, _ role: Turn.Role, hasContent: Bool, number: Int) throws -> ChatMessage.Extras {
    var members: JSON = [:]
    if let calls = try calls(of: turn, number: number) {
      guard role == .assistant else {
        throw Fault(
          .badData, "turn \(number) is the \(role.rawValue)'s and calls tools", "give its calls to the assistant")
      }
      members = members.setting("tool_calls", to: .array(calls))
    }
    for name in ["tool_call_id", "name"] + ChatMessage.Extras.reasoningNames {
      guard let value = turn[name], let text = value.string, !text.isEmpty else { continue }
      members = members.setting(name, to: value)
    }
    return ChatMessage.Extras(members: members, hasContent: hasContent)
  }

  /// The calls of a turn: `tool_calls`, or the `function_call` that came before them.
  private static func calls(of turn: JSON, number: Int) throws -> [JSON]? {
    for key in ["tool_calls", "function_call"] {
      guard let value = turn[key], !value.isNull, value.array?.isEmpty != true, value.string != "" else { continue }
      guard let list = try list(value, at: "'\(key)' of turn \(number)") else {
        throw Fault(
          .badData, "'\(key)' of turn \(number) is \(value.kindName), not a list of calls",
          "write [{\"type\": \"function\", \"function\": {\"name\", \"arguments\"}}]")
      }
      return try list.map { try call($0, at: "'\(key)' of turn \(number)") }
    }
    return nil
  }

  /// What a `function_call` turn says: the JSON of a call or of several, behind thoughts in tags where there are some.
  static func calls(said value: JSON, number: Int) throws -> (words: String, calls: [JSON]) {
    let place = "the call in turn \(number)"
    var (words, json) = ("", value)
    if let text = value.string {
      let end = text.range(of: "</think>")
      if let end { words = String(text[..<end.upperBound]) }
      json = try parsed(end.map { String(text[$0.upperBound...]) } ?? text, at: place)
    }
    let list = json.array ?? [json]
    if list.isEmpty { throw Fault(.badData, "\(place) is empty", "write {\"name\", \"arguments\"}") }
    return (words, try list.map { try call($0, at: place) })
  }

  private static func call(_ call: JSON, at place: String) throws -> JSON {
    let whole: JSON = call.object != nil && call["function"] == nil ? ["type": "function", "function": call] : call
    guard let function = whole["function"], let name = function["name"]?.string, !name.isEmpty else {
      throw Fault(.badData, "\(place) names no function", "write {\"name\", \"arguments\"}")
    }
    guard let arguments = function["arguments"], !arguments.isNull else {
      return whole.setting("function", to: function.setting("arguments", to: [:]))
    }
    guard arguments.object != nil || arguments.string != nil else {
      throw Fault(
        .badData, "the arguments of '\(name)', \(place), are \(arguments.kindName)", "write an object, or its text")
    }
    return whole
  }
}
