import Ground
import Models
import Modules
import RunFile
import SafeTensors
import Tensors

/// Embeddings of n virtual tokens that a perceptron makes (P-tuning, Liu et al. 2021, arXiv:2103.10385):
/// P = relu(relu(E W₁ᵀ + b₁) W₂ᵀ + b₂) W₃ᵀ + b₃ with E [n, D], all of it trained; P alone is saved.
public struct PTuning: TuningMethod, Equatable {
  /// n
  public var tokens: Int
  /// The hidden width of the perceptron; nil: as wide as the embeddings.
  public var projection: Int?

  public init(tokens: Int, projection: Int? = nil) {
    self.tokens = tokens
    self.projection = projection
  }

  init(_ row: PartConfiguration) { self.init(tokens: row.tokens, projection: row.projection) }

  public var changesFromTheStart: Bool { true }

  public func tuning(of part: ModelPart) throws -> any Tuning {
    try requireLanguage(part, "p_tuning")
    return Work(part, self)
  }

  private final class Own: VirtualTokens {
    let shape: DecoderShape
    let embedding: Parameter
    let layers: [(weight: Parameter, bias: Parameter)]

    init(_ shape: DecoderShape, _ scope: Scope, _ method: PTuning) {
      self.shape = shape
      let hidden = method.projection ?? shape.width
      embedding = scope.parameter("embedding", [method.tokens, shape.width])
      layers = [shape.width, hidden, hidden, shape.width].adjacent().enumerated().map { index, sizes in
        (
          scope.parameter("\(index).weight", [sizes.1, sizes.0]), scope.parameter("\(index).bias", [sizes.1])
        )
      }
    }

    var count: Int { embedding.shape[0] }
    var hidden: Int { layers[0].bias.count }
    var parameters: [Parameter] { [embedding] + layers.flatMap { [$0.weight, $0.bias] } }

    func embeddings(_ context: Context) -> Tensor? {
      var x = context[embedding]
      for (index, layer) in layers.enumerated() {
        x = context.linear(x, Projection(context[layer.weight], bias: context[layer.bias]))
        if index < layers.count - 1 { x = context.activate(.relu, x) }
      }
      return x
    }
  }

  private final class Work: VirtualTokenTuning {
    static let type = "P_TUNING"
    let name = "p_tuning"
    let part: ModelPart
    private let method: PTuning
    private var own: Own?

    init(_ part: ModelPart, _ method: PTuning) {
      self.part = part
      self.method = method
    }

    func virtualTokens(_ shape: DecoderShape, in scope: Scope) -> (any VirtualTokens)? {
      own = Own(shape, scope.child("prompt_encoder"), method)
      return own
    }

    var tokens: Int { method.tokens }
    var added: [Parameter] { own?.parameters ?? [] }

    func initialise(seed: UInt64, in adapted: AdaptedModel, _ backend: any Backend) {
      guard let own else { return }
      let stream = RandomStream([seed]).named("p_tuning")
      startAsPyTorch(own.embedding, inputs: nil, stream, backend)
      for layer in own.layers {
        for parameter in [layer.weight, layer.bias] {
          startAsPyTorch(parameter, inputs: layer.weight.shape[1], stream, backend)
        }
      }
    }

    func configuration(of adapted: AdaptedModel) -> JSON {
      guard let own else { return [:] }
      return [
        "encoder_dropout": 0.0, "encoder_hidden_size": .integer(own.hidden), "encoder_num_layers": 2,
        "encoder_reparameterization_type": "MLP", "num_attention_heads": .integer(own.shape.heads),
        "num_layers": .integer(own.shape.layers), "token_dim": .integer(own.shape.width),
      ]
    }

    var storedShape: [Int] { own?.embedding.shape ?? [] }
    func stored(_ backend: any Backend) -> Tensor? { own?.embeddings(Context(backend)) }
    func take(_ values: Tensor, _ backend: any Backend) throws {
      throw Fault(
        .badConfiguration, "an adapter holds what the perceptron gave and not the perceptron",
        at: "train.parts.\(part.rawValue).train", "set 'train: prompt' to go on from it, or start without 'adapter'")
    }
  }
}

/// PEFT reads what P-tuning has saved as plain embeddings, and so does this program.
extension PTuning: StoredAsVirtualTokens {
  static let type = Work.type
  static let readers = [type, PromptTuning.type]
  static func method(tokens: Int) -> any TuningMethod { PromptTuning(tokens: tokens) }
}

extension Array {
  /// Every element with the next one.
  fileprivate func adjacent() -> [(Element, Element)] { Array<(Element, Element)>(zip(self, dropFirst())) }
}
