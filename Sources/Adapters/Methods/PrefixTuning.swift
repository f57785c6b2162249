import Ground
import Models
import Modules
import RunFile
import SafeTensors
import Tensors

/// Trained keys and values of n virtual tokens in every layer (Li & Liang 2021, arXiv:2101.00190): attention sees
/// [P_K; K] and [P_V; V], of which P_K and P_V [n, D_K] are trained.
///
/// With a projection they are made of n embeddings E by a perceptron, P = tanh(E W₁ᵀ + b₁) W₂ᵀ + b₂, which is trained in
/// their place and gone once they are saved.
public struct PrefixTuning: TuningMethod, Equatable {
  /// n
  public var tokens: Int
  /// The hidden width of the perceptron; nil for none.
  public var projection: Int?

  public init(tokens: Int, projection: Int? = nil) {
    self.tokens = tokens
    self.projection = projection
  }

  init(_ row: PartConfiguration) { self.init(tokens: row.tokens, projection: row.projection) }

  public var changesFromTheStart: Bool { true }

  public func tuning(of part: ModelPart) throws -> any Tuning {
    try requireLanguage(part, "prefix")
    return Prefix(part, self)
  }
}

/// Prefix tuning at work in a language model.
final class Prefix: VirtualTokenTuning {
  static let type = "PREFIX_TUNING"
  let part: ModelPart
  private let method: PrefixTuning
  private var own: Own?

  init(_ part: ModelPart, _ method: PrefixTuning) {
    self.part = part
    self.method = method
  }

  func virtualTokens(_ shape: DecoderShape, in scope: Scope) -> (any VirtualTokens)? {
    let made = Own(shape, scope.child("prefix"), method)
    own = made
    return made
  }

  var added: [Parameter] { own?.parameters ?? [] }
  var tokens: Int { method.tokens }
  var name: String { method.projection.map { "prefix by a perceptron of \($0)" } ?? "prefix" }

  /// As PyTorch begins: embeddings of the standard normal distribution, linear layers within 1/√inputs.
  func initialise(seed: UInt64, in adapted: AdaptedModel, _ backend: any Backend) {
    guard let own else { return }
    let stream = RandomStream([seed]).named("prefix")
    for parameter in own.parameters {
      startAsPyTorch(parameter, inputs: own.inputs[ObjectIdentifier(parameter)], stream, backend)
    }
  }

  // MARK: Files

  func configuration(of adapted: AdaptedModel) -> JSON {
    guard let shape = own?.shape else { return [:] }
    return [
      "encoder_hidden_size": .integer(method.projection ?? shape.keyWidth), "init_weights": nil,
      "num_attention_heads": .integer(shape.keyHeads), "num_layers": .integer(shape.layers),
      "prefix_projection": .bool(method.projection != nil), "token_dim": .integer(shape.keyWidth),
    ]
  }

  var storedShape: [Int] { own.map { [method.tokens, $0.shape.layers * 2 * $0.shape.keyWidth] } ?? [] }

  /// [n, layers·2·D_K]: of every layer the keys, then the values; a projection is worked out.
  func stored(_ backend: any Backend) -> Tensor? {
    guard let own else { return nil }
    return backend.joinColumns(
      (0..<own.shape.layers).flatMap { layer in
        own.keysAndValues(layer: layer, Context(backend)).map { [$0.keys, $0.values] } ?? []
      })
  }

  func take(_ values: Tensor, _ backend: any Backend) throws {
    guard let own else { return }
    guard method.projection == nil else {
      throw Fault(
        .badConfiguration, "an adapter holds what the projection gave and not the projection",
        at: "train.parts.\(part.rawValue).projection", "remove the key, or start without 'adapter'")
    }
    for (index, parameter) in own.parameters.enumerated() {
      let width = own.shape.keyWidth
      parameter.value = backend.columns(values, index * width..<(index + 1) * width)
    }
  }
}

extension PrefixTuning: StoredAsVirtualTokens {
  static let type = Prefix.type
  static func method(tokens: Int) -> any TuningMethod { PrefixTuning(tokens: tokens) }
}

extension Prefix {
  /// The trained parameters, and the keys and values that they stand for.
  fileprivate final class Own: VirtualTokens {
    /// y = x Wᵀ + b
    private struct Layer {
      let weight, bias: Parameter
      init(_ scope: Scope, inputs: Int, outputs: Int) {
        weight = scope.parameter("weight", [outputs, inputs])
        bias = scope.parameter("bias", [outputs])
      }
      func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
        context.linear(x, Projection(context[weight], bias: context[bias]))
      }
    }
    private enum Source {
      case flat([Parameter])
      case projected(embedding: Parameter, first: Layer, second: [Layer])
    }

    let shape: DecoderShape
    let count: Int
    private let source: Source
    /// In the order of their first use; without a projection keys and values of every layer.
    let parameters: [Parameter]
    /// Of linear layers, how many inputs they have.
    let inputs: [ObjectIdentifier: Int]

    init(_ shape: DecoderShape, _ scope: Scope, _ method: PrefixTuning) {
      self.shape = shape
      count = method.tokens
      let places = (0..<shape.layers).flatMap { ["\($0).keys", "\($0).values"] }
      guard let hidden = method.projection else {
        parameters = places.map { scope.parameter($0, [method.tokens, shape.keyWidth]) }
        source = .flat(parameters)
        inputs = [:]
        return
      }
      let embedding = scope.parameter("embedding", [method.tokens, shape.keyWidth])
      let first = Layer(scope.child("first"), inputs: shape.keyWidth, outputs: hidden)
      let second = places.map { Layer(scope.child($0), inputs: hidden, outputs: shape.keyWidth) }
      source = .projected(embedding: embedding, first: first, second: second)
      let layers = [(first, shape.keyWidth)] + second.map { ($0, hidden) }
      parameters = [embedding] + layers.flatMap { [$0.0.weight, $0.0.bias] }
      inputs = Dictionary(
        uniqueKeysWithValues: layers.flatMap { layer, inputs in
          [layer.weight, layer.bias].map { (ObjectIdentifier($0), inputs) }
        })
    }

    func keysAndValues(layer: Int, _ context: Context) -> (keys: Tensor, values: Tensor)? {
      switch source {
      case .flat(let all): return (context[all[2 * layer]], context[all[2 * layer + 1]])
      case .projected(let embedding, let first, let second):
        // Worked out for each layer anew: it is little, and a layer that is recomputed holds all that it needs.
        let hidden = context.tanh(first(context[embedding], context))
        return (second[2 * layer](hidden, context), second[2 * layer + 1](hidden, context))
      }
    }
  }
}
