import Ground
import Jinja

/// One message of a conversation.
public struct ChatMessage: Equatable, Sendable {
  /// `system`, `user` or `assistant`, or what else the template knows.
  public var role: String
  public var content: [Part]

  public enum Part: Equatable, Sendable {
    case text(String)
    case image
  }

  public init(role: String, content: [Part]) {
    self.role = role
    self.content = content
  }

  public init(role: String, text: String) {
    self.init(role: role, content: [.text(text)])
  }
}

/// The Jinja chat template of a model, with the special tokens that it may print.
public struct ChatTemplate: Sendable {
  let template: Template
  let variables: [String: JSON]
  /// How the template wants the content of messages, by role; other roles go by that of `user`.
  private(set) var forms: [String: ContentForm] = [:]
  /// The texts of the model's special tokens that its configuration names, without duplicates.
  public let specialTokens: [String]
  /// The moment that `strftime_now` shows; nil for the clock.
  public var moment: Moment?

  /// What the content of a message looks like to a template.
  enum ContentForm: Sendable {
    /// One string, in which `<image>` stands for a picture.
    case string
    /// A list of `{"type": "text", "text": …}` and `{"type": "image"}`.
    case parts
  }

  /// A template from its source. `variables` are special tokens and what else the template reads;
  /// `name` stands in messages.
  /// - Throws: `Fault(.badConfiguration)` with the line of the template that is wrong.
  public init(
    source: String, variables: [String: JSON] = [:], specialTokens: [String] = [], name: String = "chat template"
  ) throws {
    template = try Template(source, name: name)
    self.variables = variables
    self.specialTokens = specialTokens
    forms = findForms()
  }

  /// The text of a conversation, with the beginning of an assistant's turn behind it if asked for.
  /// - Throws: `Fault(.badData)` with the template's own words when it refuses the conversation,
  ///   `Fault(.badConfiguration)` when the template fails.
  public func render(_ messages: [ChatMessage], addGenerationPrompt: Bool) throws -> String {
    try rendering(messages, addGenerationPrompt: addGenerationPrompt).text
  }

  /// The rendering, in which the content of message i carries the mark i.
  func rendering(_ messages: some Collection<ChatMessage>, addGenerationPrompt: Bool) throws -> Rendering {
    let values = try messages.enumerated().map { index, message in
      try value(of: message, mark: index, form: forms[message.role] ?? forms["user"] ?? .string)
    }
    return try rendering(values, addGenerationPrompt: addGenerationPrompt)
  }

  func rendering(_ messages: [Value], addGenerationPrompt: Bool) throws -> Rendering {
    var all: [(String, Value)] = [
      ("messages", try Value(list: messages)), ("tools", .none), ("documents", .none),
      ("add_generation_prompt", .bool(addGenerationPrompt)),
    ]
    for (name, value) in variables { all.append((name, try Value(value))) }
    let moment = moment
    return try template.render(all, clock: { moment ?? .now })
  }

  func value(of message: ChatMessage, mark: Int, form: ContentForm) throws -> Value {
    let content: Value
    switch form {
    case .string:
      let pieces = message.content.map { part in
        switch part {
        case .text(let text): text
        case .image: "<image>"
        }
      }
      content = .marked(pieces.joined(), mark)
    case .parts:
      content = try Value(
        list: try message.content.map { part in
          switch part {
          case .text(let text): try Value(members: [("type", .string(Text("text"))), ("text", .marked(text, mark))])
          case .image: try Value(members: [("type", .string(Text("image")))])
          }
        })
    }
    return try Value(members: [("role", .string(Text(message.role))), ("content", content)])
  }
}
