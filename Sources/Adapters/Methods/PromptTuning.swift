import Ground
import Models
import Modules
import RunFile
import SafeTensors
import Tensors
import Tokenizers

/// Trained embeddings of n virtual tokens in front of every sequence (Lester et al. 2021, arXiv:2104.08691): the model
/// reads [P; E(x)] with P [n, D] trained and all else frozen.
public struct PromptTuning: TuningMethod, Equatable {
  public enum Start: Equatable, Sendable {
    /// Numbers of the standard normal distribution.
    case random
    /// The embeddings of a text's tokens, repeated or cut to n.
    case text(String)
  }

  /// n
  public var tokens: Int
  public var start: Start

  public init(tokens: Int, start: Start = .random) {
    self.tokens = tokens
    self.start = start
  }

  init(_ row: PartConfiguration) {
    self.init(tokens: row.tokens, start: row.`init` == .text ? .text(row.initText ?? "") : .random)
  }

  public var changesFromTheStart: Bool { true }

  public func tuning(of part: ModelPart) throws -> any Tuning {
    try requireLanguage(part, "prompt")
    return Prompt(part, self)
  }
}

/// Virtual tokens stand among the tokens of a text: no other part has any.
func requireLanguage(_ part: ModelPart, _ method: String) throws {
  guard part != .language else { return }
  throw Fault(
    .badConfiguration, "the \(part.rawValue) part reads no tokens that virtual ones could stand in front of",
    at: "train.parts.\(part.rawValue).train", "use '\(method)' for the language part")
}

/// Prompt tuning at work in a language model.
final class Prompt: VirtualTokenTuning {
  static let type = "PROMPT_TUNING"
  let part: ModelPart
  private let method: PromptTuning
  private var own: Own?

  init(_ part: ModelPart, _ method: PromptTuning) {
    self.part = part
    self.method = method
  }

  private final class Own: VirtualTokens {
    let shape: DecoderShape
    let embeddings: Parameter
    init(_ shape: DecoderShape, _ scope: Scope, count: Int) {
      self.shape = shape
      embeddings = scope.parameter("prompt_embeddings", [count, shape.width])
    }
    var count: Int { embeddings.shape[0] }
    func embeddings(_ context: Context) -> Tensor? { context[embeddings] }
  }

  func virtualTokens(_ shape: DecoderShape, in scope: Scope) -> (any VirtualTokens)? {
    let made = Own(shape, scope, count: method.tokens)
    own = made
    return made
  }

  var added: [Parameter] { own.map { [$0.embeddings] } ?? [] }
  var tokens: Int { method.tokens }
  let name = "prompt"

  func initialise(seed: UInt64, in adapted: AdaptedModel, _ backend: any Backend) throws {
    guard let own else { return }
    switch method.start {
    case .random:
      startAsPyTorch(own.embeddings, inputs: nil, RandomStream([seed]).named("prompt"), backend)
    case .text(let text):
      let ids = try Tokenizer(contentsOf: adapted.folder.path + "/tokenizer.json").encode(text).ids
      guard !ids.isEmpty, ids.allSatisfy({ $0 < adapted.model.language.vocabularySize }) else {
        throw Fault(
          .badConfiguration, "the text has no tokens that the model knows",
          at: "train.parts.\(part.rawValue).init_text", "write a sentence that says what is to be done")
      }
      let chosen = (0..<own.count).map { Int32(ids[$0 % ids.count]) }
      let embeddings = adapted.model.language.embed(backend.tensor(chosen), Context(backend))
      own.embeddings.value = backend.cast(embeddings, to: .float32)
    }
  }

  // MARK: Files

  func configuration(of adapted: AdaptedModel) -> JSON {
    guard let shape = own?.shape else { return [:] }
    var text: String?
    if case .text(let start) = method.start { text = start }
    return [
      "num_attention_heads": .integer(shape.heads), "num_layers": .integer(shape.layers),
      "prompt_tuning_init": text == nil ? "RANDOM" : "TEXT", "prompt_tuning_init_text": text.map(JSON.string) ?? nil,
      "token_dim": .integer(shape.width), "tokenizer_kwargs": nil,
      "tokenizer_name_or_path": text == nil ? nil : .string(adapted.folder.path),
    ]
  }

  var storedShape: [Int] { own?.embeddings.shape ?? [] }
  func stored(_ backend: any Backend) -> Tensor? { own?.embeddings.value }
  func take(_ values: Tensor, _ backend: any Backend) { own?.embeddings.value = values }
}

extension PromptTuning: StoredAsVirtualTokens {
  static let type = Prompt.type
  static func method(tokens: Int) -> any TuningMethod { PromptTuning(tokens: tokens) }
}
