import Ground
import Modules
import Tensors

/// The tokens of a ragged batch: sequences one after another, without padding.
public struct TokenBatch {
  /// [T], int32
  public let ids: Tensor
  /// [T], int32: each token's place in its sequence.
  public let positions: Tensor
  /// One more than the largest position.
  public let positionLimit: Int
  public let sequences: Sequences

  public init(ids: Tensor, positions: Tensor, positionLimit: Int, sequences: Sequences) {
    self.ids = ids
    self.positions = positions
    self.positionLimit = positionLimit
    self.sequences = sequences
  }
}

/// A decoder that turns embeddings into hidden states, one file a family.
public protocol LanguageModel: AnyObject {
  /// The dimensions that the rest of the program asks for.
  var width: Int { get }
  var vocabularySize: Int { get }
  /// The longest sequence that its positions reach; nil where there is no limit.
  var longestSequence: Int? { get }
  /// The matrix that turns hidden states into logits, [V, D].
  var head: any LinearLayer { get }
  /// What stands in front of every sequence.
  var virtualTokens: (any VirtualTokens)? { get }

  /// ids [T] → [T, D]
  func embed(_ ids: Tensor, _ context: Context) -> Tensor
  /// embeddings [T, D] → hidden states after the last norm, of the rows that are wanted alone, or of all [T, D].
  func decode(
    _ embeddings: Tensor, _ batch: TokenBatch, rows: Tensor?, cache: KeyValueCache?, _ context: Context
  ) -> Tensor
}

extension LanguageModel {
  public var virtualTokens: (any VirtualTokens)? { nil }
}

/// Builds the language model that `model_type` names.
func makeLanguageModel(
  _ reader: ConfigurationReader, in root: Scope, nested: Bool, tied: Bool?
) throws -> any LanguageModel {
  let family = try reader.string("model_type", default: "llama")
  guard let make = languageFamilies[family] else {
    throw Fault(
      .badConfiguration, "'model_type': language model \"\(family)\" is not supported", at: reader.place,
      "use one of \(languageFamilies.keys.sorted().joined(separator: ", "))")
  }
  return try make(reader, root, nested, tied)
}

/// The registry: one line a family.
private let languageFamilies:
  [String: @Sendable (ConfigurationReader, Scope, _ nested: Bool, _ tied: Bool?) throws -> any LanguageModel] = [
    "llama": { try makeLlama($0, $1, nested: $2, tied: $3) },
    "qwen2": { try makeQwen2($0, $1, nested: $2, tied: $3) },
    "gpt2": { try makeGPT2($0, $1, nested: $2, tied: $3) },
  ]
