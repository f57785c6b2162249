import Ground
import Jinja

/// One message of a conversation.
public struct ChatMessage: Equatable, Sendable {
  /// `system`, `user` or `assistant`, or what else the template knows.
  public var role: String
  public var content: [Part]
  /// What else a template may read of it.
  public var extras = Extras()

  public enum Part: Equatable, Sendable {
    case text(String)
    /// Text whose place in the rendering is asked for by a number; it stands in one piece with the text around it.
    case named(String, Int)
    case image
  }

  /// What a message may have beside its role and content.
  public struct Extras: Equatable, Sendable {
    /// `tool_calls`, `tool_call_id`, `name` and `reasoning_content`, as an object.
    public var members: JSON
    /// Whether there is a content, be it empty; a turn that only calls tools may have none.
    public var hasContent: Bool

    public init(members: JSON = [:], hasContent: Bool = true) {
      self.members = members
      self.hasContent = hasContent
    }

    /// The functions that the message calls: `{"type": "function", "function": {"name", "arguments"}}`.
    public var calls: [JSON] { members["tool_calls"]?.array ?? [] }
  }

  public init(role: String, content: [Part], extras: Extras = Extras()) {
    self.role = role
    self.content = content
    self.extras = extras
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
  /// How it wants calls of tools.
  private(set) var callForms = CallForms()
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
    forms["tool"] = .string
    callForms = findCallForms()
    forms["tool"] = findResultForm()
  }

  /// The text of a conversation, with the beginning of an assistant's turn behind it if asked for. `tools` are the
  /// functions that the assistant may call, as JSON schemas.
  /// - Throws: `Fault(.badData)` with the template's own words when it refuses the conversation, and where it does not
  ///   show tools, calls or results that are there; `Fault(.badConfiguration)` when the template fails.
  public func render(_ messages: [ChatMessage], tools: [JSON] = [], addGenerationPrompt: Bool) throws -> String {
    let rendering = try rendering(messages, tools: tools, addGenerationPrompt: addGenerationPrompt)
    try check(rendering, shows: messages, tools)
    return rendering.text
  }

  /// The rendering, in which the content of message i carries the mark i.
  func rendering(
    _ messages: some Collection<ChatMessage>, tools: [JSON], addGenerationPrompt: Bool
  ) throws -> Rendering {
    try rendering(values(of: messages), tools: tools, addGenerationPrompt: addGenerationPrompt)
  }

  /// Messages as the template reads them. No template can change them, so that several renderings may share them.
  func values(of messages: some Collection<ChatMessage>) throws -> [Value] {
    try messages.enumerated().map { index, message in
      try value(of: message, mark: index, form: forms[message.role] ?? forms["user"] ?? .string)
    }
  }

  func rendering(_ messages: [Value], tools: [JSON] = [], addGenerationPrompt: Bool) throws -> Rendering {
    var all: [(String, Value)] = [
      ("messages", try Value(list: messages)), ("tools", try value(ofTools: tools)), ("documents", .none),
      ("add_generation_prompt", .bool(addGenerationPrompt)),
    ]
    for (name, value) in variables { all.append((name, try Value(value))) }
    let moment = moment
    return try template.render(all, clock: { moment ?? .now })
  }

  func value(of message: ChatMessage, mark: Int, form: ContentForm) throws -> Value {
    let message = callForms.fitted(message)
    let content: Value
    switch form {
    case _ where !message.extras.hasContent: content = .none
    case _ where message.content.isEmpty && !message.extras.calls.isEmpty: content = .string(Text(""))
    case .string: content = try .marked(message.content.map { $0.marked(mark) })
    case .parts:
      content = try Value(
        list: try message.joinedContent.map { parts in
          guard parts.first != .image else { return try Value(members: [("type", .string(Text("image")))]) }
          return try Value(
            members: [("type", .string(Text("text"))), ("text", .marked(parts.map { $0.marked(mark) }))])
        })
    }
    return try Value(
      members: [("role", .string(Text(message.role))), ("content", content)] + message.extras.values(mark))
  }
}

extension ChatMessage {
  /// The parts in order, those of one piece of text together.
  fileprivate var joinedContent: [[Part]] {
    var joined: [[Part]] = []
    var isOpen = false  // whether a named part may join the last piece
    for part in content {
      switch part {
      case .image: (joined, isOpen) = (joined + [[part]], false)
      case .named where isOpen: joined[joined.count - 1].append(part)
      case .text where isOpen && joined[joined.count - 1].last?.isNamed == true: joined[joined.count - 1].append(part)
      case .named, .text: (joined, isOpen) = (joined + [[part]], true)
      }
    }
    return joined
  }
}

extension ChatMessage.Part {
  fileprivate var isNamed: Bool { if case .named = self { true } else { false } }

  /// As one string holds it.
  fileprivate func marked(_ message: Int) -> (text: String, mark: Int) {
    switch self {
    case .text(let text): (text, message)
    case .named(let text, let name): (text, ContentMark(message: message, part: .named(name)).number)
    case .image: ("<image>", message)
    }
  }
}

/// What the strings of a message are marked with: the message's number, and which part of it they belong to.
struct ContentMark {
  let message: Int
  let part: Part

  enum Part: Equatable {
    case content
    /// Words that have a name.
    case named(Int)
    /// A call of a tool, by its number in the message.
    case call(Int)
    /// A tool itself, by its number; it belongs to no message.
    case tool(Int)
  }

  private static let messageBits = 32

  init(message: Int, part: Part) { (self.message, self.part) = (message, part) }

  init(_ number: Int) {
    message = number & ((1 << ContentMark.messageBits) - 1)
    let code = (number >> ContentMark.messageBits) - 1
    part =
      switch code {
      case ..<0: .content
      case _ where code % 3 == 0: .named(code / 3)
      case _ where code % 3 == 1: .call(code / 3)
      default: .tool(code / 3)
      }
  }

  var number: Int {
    let code =
      switch part {
      case .content: 0
      case .named(let name): 1 + 3 * name
      case .call(let call): 2 + 3 * call
      case .tool(let tool): 3 + 3 * tool
      }
    return message | code << ContentMark.messageBits
  }

  /// The message that the text belongs to.
  var owner: Int? { if case .tool = part { nil } else { message } }
}
