import Ground

/// LLaVA: `{"id", "image", "conversations": [{"from": "human", "value": "<image>\n…"}, {"from": "gpt", "value": …}]}`;
/// ShareGPT is the same, with `system` beside the turns.
struct LLaVAFormat: RecordFormat {
  var name = "llava"
  func recognises(_ record: JSON) -> Bool { record["conversations"] != nil }
  func read(_ record: JSON) throws -> RecordDraft {
    let turns = try MessageKeys.llava.turns(of: record, at: "conversations")
    guard name == "sharegpt" else { return try RecordDraft(turns, of: record, using: ["conversations"]) }
    return try RecordDraft(turns.after(system: record["system"]), of: record, using: ["conversations", "system"])
  }
}

/// Chat messages: `{"messages": [{"role": "user", "content": "<image>\n…" or a list of parts}, …]}`, with `image` or
/// `images` beside them (TRL), and `system` (Anthropic).
struct MessagesFormat: RecordFormat {
  let name = "messages"
  func recognises(_ record: JSON) -> Bool { record["messages"] != nil }
  func read(_ record: JSON) throws -> RecordDraft {
    let turns = try MessageKeys.chat.turns(of: record, at: "messages").after(system: record["system"])
    return try RecordDraft(turns, of: record, using: ["messages", "system"])
  }
}

/// A question and its answer: `{"prompt", "completion"}` or `{"question", "answer"}`, each a string or messages, with the
/// pictures of `image` or `images` at the front where no tag places them.
struct CompletionFormat: RecordFormat {
  let name = "completion"
  private static let pairs = [("prompt", "completion"), ("question", "answer")]

  private func keys(of record: JSON) -> (prompt: String, completion: String)? {
    CompletionFormat.pairs.first { record[$0.0] != nil && record[$0.1] != nil }
  }

  func recognises(_ record: JSON) -> Bool { keys(of: record) != nil }
  func read(_ record: JSON) throws -> RecordDraft {
    guard let keys = keys(of: record) else {
      throw Fault(.badData, "no 'prompt' and 'completion'", "give the record both")
    }
    var turns = try TurnList(.user, said: record[keys.prompt] ?? .null, at: keys.prompt)
    turns.append(try TurnList(.assistant, said: record[keys.completion] ?? .null, at: keys.completion))
    return try RecordDraft(
      turns.after(system: record["system"]), of: record, using: [keys.prompt, keys.completion, "system"], places: true)
  }
}

/// Answers of which one was preferred: `{"prompt", "chosen", "rejected"}`, each a string or messages; trained on `chosen`.
/// Without `prompt`, or where `chosen` begins with the user, `chosen` and `rejected` are whole conversations.
struct PreferenceFormat: RecordFormat {
  let name = "preference"
  func recognises(_ record: JSON) -> Bool { record["chosen"] != nil && record["rejected"] != nil }
  func read(_ record: JSON) throws -> RecordDraft {
    try RecordDraft(
      conversation(record, "chosen"), of: record, using: ["prompt", "chosen", "rejected", "system"],
      rejected: conversation(record, "rejected"), places: true)
  }

  private func conversation(_ record: JSON, _ key: String) throws -> TurnList {
    let answer = try TurnList(.assistant, said: record[key] ?? .null, at: key)
    guard answer.turns.first?.role == .assistant else { return answer }
    guard let prompt = record["prompt"], !prompt.isNull else {
      throw Fault(.badData, "no 'prompt', and '\(key)' begins with the answer", "give the record its prompt")
    }
    var turns = try TurnList(.user, said: prompt, at: "prompt")
    turns.append(answer)
    return try turns.after(system: record["system"])
  }
}

/// Pictures with captions: `{"image", "text"}`, also under the names that captions and image folders have elsewhere. The
/// user shows the picture and the assistant says the caption.
struct PairsFormat: RecordFormat {
  let name = "pairs"
  static let imageKeys = ["image", "images", "file_name", "image_path", "jpg", "png"]
  static let textKeys = ["text", "caption", "txt"]

  private func textKey(of record: JSON) -> String? {
    PairsFormat.textKeys.first { record[$0]?.isNull == false }
  }

  func recognises(_ record: JSON) -> Bool {
    textKey(of: record) != nil && PairsFormat.imageKeys.contains { record[$0]?.isNull == false }
  }

  func read(_ record: JSON) throws -> RecordDraft {
    guard let key = textKey(of: record), let text = record[key] else {
      throw Fault(.badData, "no 'text'", "give the record a 'text' or 'caption' string")
    }
    guard let caption = text.string else {
      throw Fault(.badData, "'\(key)' is \(text.kindName), not a string", "make it a string")
    }
    var list = TurnList()
    list.turns = [Turn(.user, ""), Turn(.assistant, caption)]
    let members = PairsFormat.imageKeys.filter { record[$0]?.isNull == false }.prefix(1)
    return try RecordDraft(list, of: record, images: Array(members), using: [key], tools: nil, places: true)
  }
}

extension TurnList {
  /// What one side says, a string, or turns as messages.
  init(_ role: Turn.Role, said value: JSON, at key: String) throws {
    if value.array != nil {
      self = try MessageKeys.chat.turns(in: value, at: key)
    } else if value["role"] != nil {
      self = try MessageKeys.chat.turn(value, number: 1)
    } else {
      self = try TurnList(role, value, at: "'\(key)'")
    }
  }

  /// The same behind a system prompt that stands beside the turns, where there is one and none among them.
  func after(system: JSON?) throws -> TurnList {
    guard let system, !system.isNull, system.string != "", turns.first?.role != .system else { return self }
    var list = try TurnList(.system, system, at: "'system'")
    list.append(self)
    return list
  }
}
