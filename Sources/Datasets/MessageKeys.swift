import Ground

/// Where a layout keeps the turns of a conversation, and in each turn the role and the content.
struct MessageKeys: Equatable, Sendable {
  var role: String
  var content: String
  /// The names of the roles.
  var roles = Turn.Role.dataNames

  static let llava = MessageKeys(role: "from", content: "value")
  static let chat = MessageKeys(role: "role", content: "content")

  /// The turns of the list at `key` of a record, and the pictures that stand in them.
  func turns(of record: JSON, at key: String) throws -> TurnList {
    guard let value = record[key], !value.isNull else {
      throw Fault(.badData, "no \(key)", "give the record a '\(key)' list")
    }
    return try turns(in: value, at: key)
  }

  func turns(in value: JSON, at key: String) throws -> TurnList {
    guard let values = value.array else {
      throw Fault(.badData, "'\(key)' is \(value.kindName), not a list", "make it a list of turns")
    }
    guard !values.isEmpty else {
      throw Fault(.badData, "empty conversation: '\(key)' has no turn", "remove the record or give it turns")
    }
    return try values.enumerated().reduce(into: TurnList()) { $0.append(try turn($1.element, number: $1.offset + 1)) }
  }

  /// One turn.
  /// - Parameter number: of the turn, from 1, for messages.
  func turn(_ value: JSON, number: Int) throws -> TurnList {
    guard value.object != nil else {
      throw Fault(.badData, "turn \(number) is \(value.kindName), not an object", "write {\"\(role)\", \"\(content)\"}")
    }
    guard let name = value[role] else {
      throw Fault(.badData, "turn \(number) has no '\(role)'", "give it a '\(role)' string")
    }
    guard let roleName = name.string else {
      throw Fault(.badData, "'\(role)' of turn \(number) is \(name.kindName), not a string", "make it a string")
    }
    guard let known = roles[roleName] else {
      throw Fault(
        .badData, "unknown role '\(roleName)' in turn \(number)\(didYouMean(roleName, among: roles.keys.sorted()))",
        "use one of \(roles.keys.sorted().joined(separator: ", "))")
    }
    if let calls = value["tool_calls"]?.array, !calls.isEmpty {
      throw Fault(
        .badData, "'tool_calls' of turn \(number) is not supported", "write the call as text, or remove the record")
    }
    guard let said = value[content] else {
      throw Fault(.badData, "turn \(number) has no '\(content)'", "give it a '\(content)' string")
    }
    var list = try TurnList(known, said, at: "'\(content)' of turn \(number)")
    let members = try TurnMembers(value, number: number)
    list.turns = list.turns.map { Turn($0.role, $0.text, isTrained: members.isTrained, weight: members.weight) }
    return list
  }
}

/// Turns, and the pictures that stand in them.
struct TurnList: Equatable, Sendable {
  var turns: [Turn] = []
  /// Of the parts that have a picture of their own, in order.
  var images: [ImageReference] = []
  /// Parts that say only that a picture belongs there.
  var openPlaces = 0

  mutating func append(_ other: TurnList) {
    turns += other.turns
    images += other.images
    openPlaces += other.openPlaces
  }
}

extension TurnList {
  /// A turn whose content is a string, or a list of parts `{"type": "text" | "image" | "image_url", …}`.
  /// - Parameter place: where the content stands, for messages.
  init(_ role: Turn.Role, _ content: JSON, at place: String) throws {
    if let text = content.string {
      turns = [Turn(role, text)]
      return
    }
    guard let parts = content.array else {
      throw Fault(.badData, "\(place) is \(content.kindName), not a string", "make it a string, or a list of parts")
    }
    var text = ""
    for (index, part) in parts.enumerated() {
      let place = "part \(index + 1) of \(place)"
      guard let type = part["type"]?.string else {
        throw Fault(
          .badData, "\(place) has no 'type'", "write {\"type\": \"text\", \"text\"} or {\"type\": \"image\", …}")
      }
      switch type {
      case "text", "input_text", "output_text":
        guard let own = part["text"]?.string else {
          throw Fault(.badData, "\(place) has no 'text' string", "give it one")
        }
        text += own
      case "image", "image_url", "input_image":
        text += Record.imageTag
        if let image = try? ImageReference(part, at: place) { images.append(image) } else { openPlaces += 1 }
      default:
        throw Fault(.badData, "\(place) is of type '\(type)', which is not supported", "use text and image parts")
      }
    }
    turns = [Turn(role, text)]
  }
}

extension RecordDraft {
  /// Members under which a record names its pictures.
  static let imageMembers = ["image", "images"]

  /// A conversation whose pictures stand in its turns, or else under one of `members` of the record.
  /// - Parameter places: puts pictures that no tag places at the front of the user's first turn, as TRL does.
  init(
    _ list: TurnList, of record: JSON, images members: [String] = RecordDraft.imageMembers, using keys: [String],
    rejected: TurnList? = nil, places: Bool = false
  ) throws {
    var (list, rejected) = (list, rejected)
    let beside = try RecordDraft.images(of: record, in: members)
    guard beside.isEmpty || list.images.isEmpty else {
      throw Fault(
        .badData, "pictures both in the turns and beside them, under '\(members.first { record[$0] != nil } ?? "")'",
        "keep one of the two")
    }
    guard list.images.isEmpty || list.openPlaces == 0 else {
      throw Fault(
        .badData, "\(list.openPlaces) image part\(list.openPlaces == 1 ? "" : "s") without a picture",
        "give every image part a path, a url of a local file, or base64")
    }
    if places {
      list.place(beside.count)
      rejected?.place(beside.count)
    }
    self.init(
      turns: list.turns, images: list.images + beside, members: Set(members + keys), rejected: rejected?.turns)
  }

  /// The pictures under one of `members`: one, a list of them, or nothing.
  static func images(of record: JSON, in members: [String]) throws -> [ImageReference] {
    for key in ["video", "videos", "audio", "audios"] {
      if let value = record[key], !value.isNull, value.array?.isEmpty != true {
        throw Fault(.badData, "'\(key)' is not supported", "remove the record, or its '\(key)'")
      }
    }
    let given = members.filter { record[$0]?.isNull == false }
    guard let key = given.first, let value = record[key] else { return [] }
    guard given.count == 1 else { throw Fault(.badData, "both '\(given[0])' and '\(given[1])'", "keep one of them") }
    return try (value.array ?? [value]).map { try ImageReference($0, at: key) }
  }
}

extension TurnList {
  /// Puts `count` tags before the user's first words, unless there is a tag already.
  fileprivate mutating func place(_ count: Int) {
    guard count > 0, !turns.contains(where: { !occurrences(of: Record.imageTag, in: $0.text).isEmpty }),
      let first = turns.firstIndex(where: { $0.role == .user })
    else { return }
    turns[first] = turns[first].saying(String(repeating: Record.imageTag, count: count) + turns[first].text)
  }
}
