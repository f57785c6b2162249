import Ground

/// Alpaca: `{"instruction", "input", "output", "system", "history": [[question, answer], …]}`; the user says the
/// instruction and, on a new line, the input.
struct AlpacaFormat: RecordFormat {
  let name = "alpaca"
  /// The names of the columns; nil where a data set has none.
  var prompt: String? = "instruction"
  var query: String? = "input"
  var response: String? = "output"
  var system: String? = "system"
  var history: String? = "history"
  var tools: String? = "tools"
  var images = RecordDraft.imageMembers
  /// Of two answers, where they are ranked.
  var chosen: String?
  var rejected: String?

  func recognises(_ record: JSON) -> Bool { record["instruction"] != nil && record["output"] != nil }

  func read(_ record: JSON) throws -> RecordDraft {
    let used = [prompt, query, response, system, history, chosen, rejected].compactMap(\.self)
    return try RecordDraft(
      turns(of: record, answer: chosen ?? response), of: record, images: images, using: used, tools: tools,
      rejected: rejected.map { try turns(of: record, answer: $0) })
  }

  private func turns(of record: JSON, answer: String?) throws -> TurnList {
    var list = TurnList()
    if let history, let rounds = record[history], !rounds.isNull {
      guard let rounds = rounds.array else {
        throw Fault(.badData, "'\(history)' is \(rounds.kindName), not a list", "make it a list of [question, answer]")
      }
      for (index, round) in rounds.enumerated() {
        guard let pair = round.array, pair.count == 2 else {
          throw Fault(.badData, "round \(index + 1) of '\(history)' is no pair", "write [question, answer]")
        }
        list.append(try TurnList(.user, pair[0], at: "round \(index + 1) of '\(history)'"))
        list.append(try TurnList(.assistant, pair[1], at: "round \(index + 1) of '\(history)'"))
      }
    }
    let asked = try [prompt, query].compactMap { try $0.flatMap { try text(of: record, $0) } }.filter { !$0.isEmpty }
    list.turns.append(Turn(.user, asked.joined(separator: "\n")))
    guard let answer, let said = try text(of: record, answer) else {
      throw Fault(.badData, "no '\(answer ?? "output")'", "give the record its answer")
    }
    list.turns.append(Turn(.assistant, said))
    return try list.after(system: system.flatMap { record[$0] })
  }

  private func text(of record: JSON, _ key: String) throws -> String? {
    guard let value = record[key], !value.isNull else { return nil }
    guard let text = value.string else {
      throw Fault(.badData, "'\(key)' is \(value.kindName), not a string", "make it a string")
    }
    return text
  }
}
