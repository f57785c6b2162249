import Ground
import Modules
import RunFile
import Tensors

/// What one bottleneck adapter is and where it stands; the three kinds differ in nothing else.
public struct BottleneckSettings: Equatable, Sendable {
  public var afterAttention: Bool
  public var afterFeedForward: Bool
  /// The bottleneck has width / reduction numbers.
  public var reduction: Double
  /// As Hugging Face configurations name it.
  public var activation: String
  public var scaling: Double
  public var dropout = 0.0
  /// Whether it takes what goes around the branch, instead of what the branch gave.
  public var isParallel = false
  /// Whether it takes the sum of both.
  public var sumsFirst = false
  /// Whether it begins as no change: the second matrix at zero.
  public var startsAtZero = false
  /// The layers that have it; nil: all.
  public var layers: LayerSet?
  /// Layers that do not.
  public var leftOut: Set<Int> = []

  /// The settings of a kind, with its defaults where none are given.
  public init(
    _ kind: AdapterKind, reduction: Double? = nil, activation: String? = nil, scaling: Double? = nil,
    layers: LayerSet? = nil
  ) {
    afterAttention = kind == .houlsby
    afterFeedForward = true
    sumsFirst = kind == .pfeiffer
    isParallel = kind == .parallel
    startsAtZero = kind == .parallel
    self.reduction = reduction ?? (kind == .parallel ? 2 : 16)
    self.activation = activation ?? (kind == .houlsby ? "swish" : "relu")
    self.scaling = scaling ?? (kind == .parallel ? 4 : 1)
    self.layers = layers
  }

  func isAt(_ branch: Branch, layer: Int) -> Bool {
    (branch == .attention ? afterAttention : afterFeedForward) && !leftOut.contains(layer)
      && (layers?.contains(layer) ?? true)
  }

  func width(of outer: Int) -> Int { max(1, Int(Double(outer) / reduction)) }
}

/// s · (f(z W_dᵀ + b_d) W_uᵀ + b_u)
final class BottleneckBlock {
  private let settings: BottleneckSettings
  private let activation: Activation
  private let path: String
  let downWeight, downBias, upWeight, upBias: Parameter

  init(_ settings: BottleneckSettings, width: Int, _ scope: Scope) {
    guard let activation = Activation(named: settings.activation) else {
      preconditionFailure("no activation is named \(settings.activation)")
    }
    self.settings = settings
    self.activation = activation
    path = scope.path
    let inner = settings.width(of: width)
    downWeight = scope.parameter("adapter_down.0.weight", [inner, width])
    downBias = scope.parameter("adapter_down.0.bias", [inner])
    upWeight = scope.parameter("adapter_up.weight", [width, inner])
    upBias = scope.parameter("adapter_up.bias", [width])
  }

  var parameters: [Parameter] { [downWeight, downBias, upWeight, upBias] }

  /// What it gives for z [T, D], as fusion looks at it: without dropout.
  func callAsFunction(_ z: Tensor, _ context: Context) -> Tensor {
    let inner = context.activate(
      activation, context.linear(z, Projection(context[downWeight], bias: context[downBias])))
    let outer = context.linear(inner, Projection(context[upWeight], bias: context[upBias]))
    return settings.scaling == 1 ? outer : context.scale(outer, by: Float(settings.scaling))
  }

  func callAsFunction(_ z: Tensor, addingTo residual: Tensor, _ context: Context) -> Tensor {
    let dropout = Dropout(rate: Float(settings.dropout), context.randomness?.named(path))
    return context.add(residual, context.dropout(self(z, context), dropout))
  }

  /// Deviation 0.02 for both matrices; or, to begin as no change, bounds 1/√inputs for the first and zeros for the second.
  func initialise(_ stream: RandomStream, _ backend: any Backend) {
    let (draws, bound) = (stream.named(downWeight.name), 1 / Double(downWeight.shape[1]).squareRoot())
    func normal(_ parameter: Parameter) -> [Float] {
      let draws = stream.named(parameter.name)
      return (0..<parameter.count).map { Float(0.02 * draws.normal(at: $0)) }
    }
    downWeight.value = backend.tensor(
      settings.startsAtZero
        ? (0..<downWeight.count).map { Float((draws.uniform(at: $0) * 2 - 1) * bound) } : normal(downWeight),
      downWeight.shape)
    upWeight.value =
      settings.startsAtZero ? backend.zeros(upWeight.shape) : backend.tensor(normal(upWeight), upWeight.shape)
    downBias.value = backend.zeros(downBias.shape)
    upBias.value = backend.zeros(upBias.shape)
  }
}

/// Attention over what n adapters give (AdapterFusion, Pfeiffer et al. 2021, arXiv:2005.00247), for each token:
/// Σᵢ softmaxᵢ(q·kᵢ) vᵢ with q = z W_qᵀ + b_q, kᵢ = uᵢ W_kᵀ + b_k, vᵢ = uᵢ W_vᵀ.
final class FusionLayer {
  private let width: Int
  private let query, key: (weight: Parameter, bias: Parameter)
  private let value: Parameter

  init(width: Int, _ scope: Scope) {
    self.width = width
    func layer(_ name: String) -> (Parameter, Parameter) {
      (scope.parameter(name + ".weight", [width, width]), scope.parameter(name + ".bias", [width]))
    }
    query = layer("query")
    key = layer("key")
    value = scope.parameter("value.weight", [width, width])
  }

  var parameters: [Parameter] { [query.weight, query.bias, key.weight, key.bias, value] }

  /// z [T, D] and u₁ … uₙ [T, D] → [T, D]
  func callAsFunction(_ z: Tensor, _ outputs: [Tensor], addingTo residual: Tensor, _ context: Context) -> Tensor {
    let (rows, count) = (z.rows, outputs.count)
    func beside(_ parts: [Tensor]) -> Tensor { context.reshape(context.joinColumns(parts), [rows * count, width]) }
    let q = context.linear(z, Projection(context[query.weight], bias: context[query.bias]))
    let keys = outputs.map { context.linear($0, Projection(context[key.weight], bias: context[key.bias])) }
    let values = outputs.map { context.linear($0, Projection(context[value])) }
    // Every token is a sequence of one query and n keys; that scores are not divided by √D is made up for in q.
    let sequences = Sequences(
      queries: (0..<rows).map { $0..<$0 + 1 }, keys: (0..<rows).map { $0 * count..<($0 + 1) * count })
    let mixed = context.attention(
      context.scale(q, by: Float(width).squareRoot()), beside(keys), beside(values),
      AttentionShape(heads: 1, keyHeads: 1, headWidth: width), sequences, .bidirectional)
    return context.add(mixed, residual)
  }

  /// Query and key by deviation 0.02; the value near identity: 1 on the diagonal, 10⁻⁶ elsewhere.
  func initialise(_ stream: RandomStream, _ backend: any Backend) {
    for layer in [query, key] {
      let draws = stream.named(layer.weight.name)
      let values = (0..<layer.weight.count).map { Float(0.02 * draws.normal(at: $0)) }
      layer.weight.value = backend.tensor(values, layer.weight.shape)
      layer.bias.value = backend.zeros(layer.bias.shape)
    }
    var near = [Float](repeating: 1e-6, count: width * width)
    for index in 0..<width { near[index * width + index] = 1 }
    value.value = backend.tensor(near, [width, width])
  }
}
