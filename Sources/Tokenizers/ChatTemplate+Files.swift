import Foundation
import Ground
import Jinja
import OrderedCollections

/// Reading the template and the special tokens that stand beside a model.
extension ChatTemplate {
  /// The template of a model folder.
  /// - Throws: `Fault(.missingInput)` when the model has none, and the faults of ``load(modelFolder:)``.
  public init(modelFolder: String) throws {
    guard let found = try ChatTemplate.load(modelFolder: modelFolder) else {
      throw Fault(
        .missingInput, "the model has no chat template", at: modelFolder,
        "put a Jinja template there as chat_template.jinja, for example that of a model trained on such conversations")
    }
    self = found
  }

  /// The template of a model folder, nil when it has none: `chat_template.jinja`, else `chat_template.json`, else the
  /// key `chat_template` of `processor_config.json` or `tokenizer_config.json`.
  /// - Throws: `Fault(.badData)` for files that are not what they should be, `Fault(.badConfiguration)` for a
  ///   template that is not valid.
  public static func load(modelFolder: String) throws -> ChatTemplate? {
    guard let (source, place) = try findSource(modelFolder) else { return nil }
    let (variables, tokens) = try specialTokens(modelFolder)
    return try ChatTemplate(source: source, variables: variables, specialTokens: tokens, name: place)
  }

  private static func findSource(_ folder: String) throws -> (source: String, place: String)? {
    let path = folder + "/chat_template.jinja"
    if FileManager.default.fileExists(atPath: path) {
      let bytes = try readFile(path)
      guard let source = String(data: bytes, encoding: .utf8), source.utf8.count == bytes.count else {
        throw Fault(
          .badData, "the chat template is not UTF-8 text", at: path, "save it as UTF-8 without a byte order mark")
      }
      return (source, path)
    }
    for file in ["chat_template.json", "processor_config.json", "tokenizer_config.json"] {
      let path = "\(folder)/\(file)"
      guard FileManager.default.fileExists(atPath: path) else { continue }
      if let entry = try JSON(contentsOf: path)["chat_template"], !entry.isNull {
        return (try source(in: entry, path), path)
      }
    }
    return nil
  }

  /// The template in a JSON entry: a string, or the one named `default` of several.
  private static func source(in entry: JSON, _ path: String) throws -> String {
    var named: [(name: String?, source: String?)] = []
    switch entry {
    case .string(let source): return source
    case .object(let members): named = members.map { ($0.key, $0.value.string) }
    case .array(let entries): named = entries.map { ($0["name"]?.string, $0["template"]?.string) }
    default: break
    }
    if let source = named.first(where: { $0.name == "default" })?.source { return source }
    if named.count == 1, let source = named[0].source { return source }
    throw Fault(
      .badData, "'chat_template' is neither a template nor a list of templates with one named 'default'", at: path,
      "write the template to use to chat_template.jinja")
  }

  private static let namedTokens = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// What templates may print, `bos_token` and so on, and the texts of all special tokens.
  ///
  /// `special_tokens_map.json` names tokens only beside a configuration of the old form, which has no
  /// `added_tokens_decoder`; it then goes before `tokenizer_config.json`.
  private static func specialTokens(_ folder: String) throws -> (variables: [String: JSON], tokens: [String]) {
    var variables: [String: JSON] = [:]
    var tokens: [String] = []
    var isOldForm = true
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
      let path = "\(folder)/\(file)"
      guard FileManager.default.fileExists(atPath: path) else { continue }
      let configuration = try JSON(contentsOf: path)
      if isOldForm {
        for name in namedTokens { configuration[name].flatMap(text(ofToken:)).map { variables[name] = .string($0) } }
      }
      if configuration["added_tokens_decoder"] != nil { isOldForm = false }
      tokens += self.tokens(in: configuration)
    }
    return (variables, OrderedSet(tokens.filter { !$0.isEmpty }).elements)
  }

  /// The texts of all special tokens that a configuration tells of.
  private static func tokens(in configuration: JSON) -> [String] {
    var entries = namedTokens.compactMap { configuration[$0] }
    for name in ["additional_special_tokens", "extra_special_tokens"] {
      entries += configuration[name]?.array ?? []
      entries += configuration[name]?.object?.values.elements ?? []
    }
    let added = configuration["added_tokens_decoder"]?.object?.values.elements ?? []
    entries += added.filter { $0["special"]?.bool == true }
    return entries.compactMap(text(ofToken:))
  }

  /// A token is a string or an object with its text as `content`.
  private static func text(ofToken token: JSON) -> String? { token.string ?? token["content"]?.string }
}
