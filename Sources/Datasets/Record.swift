import Ground

/// One conversation as the data file has it, checked: roles known, one picture for every `<image>` tag.
public struct Record: Equatable, Sendable {
  /// The record's own name, when it has one; nothing depends on it.
  public let id: String?
  public let turns: [Turn]
  /// The pictures, in the order of the `<image>` tags; empty for a text-only record.
  public let images: [ImageLocation]
  /// Where the record stands: `file:line` of its first character, `file, row 3` or `file, member 000123`.
  public let place: String
  /// Its number in the ``RecordSource`` that it came from, from 0.
  public let index: Int
  /// The members of the record that its layout does not use, as an object: `metadata.value(at: "patient.age")`.
  public let metadata: JSON
  /// Turns that were not preferred to the last ones of ``turns``; nil where the record has no such.
  public let rejected: [Turn]?
  /// Parts of its pictures that its turns speak of.
  public let regions: [RecordRegion]

  public init(
    id: String?, turns: [Turn], images: [ImageLocation], place: String, index: Int, metadata: JSON = [:],
    rejected: [Turn]? = nil, regions: [RecordRegion] = []
  ) {
    self.rejected = rejected
    self.metadata = metadata
    self.regions = regions
    self.id = id
    self.turns = turns
    self.images = images
    self.place = place
    self.index = index
  }

  /// The tag that stands in a turn's text where a picture belongs, whatever the model calls its own token.
  public static let imageTag = "<image>"
}

/// What one side says in a conversation.
public struct Turn: Equatable, Sendable {
  /// Who speaks, under the names that chat templates use.
  public enum Role: String, Sendable, CaseIterable {
    case system, user, assistant
  }

  public let role: Role
  /// Without the tags of regions.
  public let text: String
  /// Where regions stand in the text, in order.
  public let mentions: [RegionMention]
  /// Whether the turn is trained, where the record says so; nil leaves it to ``TrainedTurns``.
  public let isTrained: Bool?
  /// How much each of its tokens counts in losses where it is trained.
  public let weight: Float

  public init(
    _ role: Role, _ text: String, mentions: [RegionMention] = [], isTrained: Bool? = nil, weight: Float = 1
  ) {
    self.role = role
    self.text = text
    self.mentions = mentions
    self.isTrained = isTrained
    self.weight = weight
  }

  /// The same turn in other words.
  public func saying(_ text: String, mentions: [RegionMention] = []) -> Turn {
    Turn(role, text, mentions: mentions, isTrained: isTrained, weight: weight)
  }
}

extension Turn.Role {
  /// The names that data files use for each role: LLaVA says `human` and `gpt`.
  static let dataNames: [String: Turn.Role] = [
    "system": .system, "user": .user, "human": .user, "assistant": .assistant, "gpt": .assistant,
  ]
}
