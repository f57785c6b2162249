import Foundation
import Ground

/// One data set of a `dataset_info.json`, as LLaMA-Factory describes its data: a file, and what its columns are called.
struct DatasetInfo: Sendable {
  let path: String
  let format: any RecordFormat

  /// - Throws: `Fault` at the file for a data set that is not there, is not a local file, or has unknown columns.
  init(_ name: String, in path: String) throws {
    let all = try JSON(contentsOf: path)
    let names = all.object.map { Array($0.keys) } ?? []
    guard let entry = all[name], entry.object != nil else {
      throw Fault(
        .badConfiguration, "no data set '\(name)'\(didYouMean(name, among: names))", at: path,
        names.isEmpty ? "check the file" : "name one by the key dataset: \(names.prefix(8).joined(separator: ", "))")
    }
    do {
      guard let file = entry["file_name"]?.string, !file.isEmpty else {
        throw Fault(.badConfiguration, "the data set '\(name)' has no 'file_name'", "download it and name its file")
      }
      self.path =
        file.hasPrefix("/") ? file : "\(parentFolder(of: path).isEmpty ? "." : parentFolder(of: path))/\(file)"
      switch entry["formatting"]?.string ?? "alpaca" {
      case "alpaca": format = try DatasetInfo.alpaca(entry)
      case "sharegpt": format = try ShareGPTColumns(entry)
      case let other:
        throw Fault(
          .badConfiguration, "formatting '\(other)' of the data set '\(name)' is not supported",
          "use alpaca or sharegpt")
      }
    } catch let fault as Fault {
      throw fault.placed(at: path)
    }
  }

  private static func alpaca(_ entry: JSON) throws -> AlpacaFormat {
    var format = AlpacaFormat()
    let columns = try Names(entry["columns"], known: columnNames)
    (format.system, format.history, format.images) = (columns["system"], columns["history"], columns.list("images"))
    format.tools = columns["tools"]
    if columns.areGiven {
      (format.prompt, format.query, format.response) = (columns["prompt"], columns["query"], columns["response"])
    }
    if entry["ranking"]?.bool == true { (format.chosen, format.rejected) = (columns["chosen"], columns["rejected"]) }
    return format
  }

  static let columnNames = [
    "prompt", "query", "response", "history", "messages", "system", "tools", "images", "videos", "audios", "chosen",
    "rejected", "kto_tag",
  ]

  /// Names that a description gives to columns or tags.
  struct Names {
    let areGiven: Bool
    private let names: [String: String]

    init(_ json: JSON?, known: [String]) throws {
      areGiven = json?.object != nil
      var names: [String: String] = [:]
      for (key, value) in json?.object ?? [:] where !value.isNull {
        guard known.contains(key), let name = value.string else {
          throw Fault(
            .badConfiguration, "'\(key)' is unknown or no string\(didYouMean(key, among: known))",
            "use \(known.joined(separator: ", "))")
        }
        names[key] = name
      }
      for key in ["videos", "audios", "kto_tag"] where names[key] != nil {
        throw Fault(.badConfiguration, "a column of \(key) is not supported", "remove it, and the records that need it")
      }
      self.names = names
    }

    subscript(key: String) -> String? { names[key] }
    func list(_ key: String) -> [String] { names[key].map { [$0] } ?? [] }
  }
}

/// ShareGPT under the names that a `dataset_info.json` gives.
private struct ShareGPTColumns: RecordFormat {
  let name = "sharegpt"
  private let messages: String
  private let keys: MessageKeys
  private let system: String?
  private let tools: String?
  private let images: [String]
  private let ranked: (chosen: String, rejected: String)?

  init(_ entry: JSON) throws {
    let columns = try DatasetInfo.Names(entry["columns"], known: DatasetInfo.columnNames)
    let tags = try DatasetInfo.Names(
      entry["tags"],
      known: ["role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag"])
    messages = columns["messages"] ?? "conversations"
    system = columns["system"]
    tools = columns["tools"]
    images = columns.list("images")
    keys = MessageKeys(
      role: tags["role_tag"] ?? "from", content: tags["content_tag"] ?? "value",
      roles: [
        tags["user_tag"] ?? "human": .user, tags["assistant_tag"] ?? "gpt": .assistant,
        tags["system_tag"] ?? "system": .system, tags["observation_tag"] ?? "observation": .tool,
      ], callRole: tags["function_tag"] ?? "function_call")
    guard entry["ranking"]?.bool == true else {
      ranked = nil
      return
    }
    guard let chosen = columns["chosen"], let rejected = columns["rejected"] else {
      throw Fault(.badConfiguration, "a ranked data set has no columns 'chosen' and 'rejected'", "name them")
    }
    ranked = (chosen, rejected)
  }

  func recognises(_ record: JSON) -> Bool { record[messages] != nil }

  func read(_ record: JSON) throws -> RecordDraft {
    let turns = try keys.turns(of: record, at: messages).after(system: system.flatMap { record[$0] })
    let used = [messages, system].compactMap(\.self)
    guard let ranked else { return try RecordDraft(turns, of: record, images: images, using: used, tools: tools) }
    func with(_ column: String) throws -> TurnList {
      guard let answer = record[column] else {
        throw Fault(.badData, "no '\(column)'", "give the record both answers")
      }
      var list = turns
      list.append(try keys.turn(answer, number: turns.turns.count + 1))
      return list
    }
    return try RecordDraft(
      with(ranked.chosen), of: record, images: images, using: used + [ranked.chosen, ranked.rejected],
      tools: tools, rejected: with(ranked.rejected))
  }
}
