import Foundation
import Ground
import Models
import Modules
import RunFile
import Tensors

/// Low-rank updates of the linear layers of a part: W + (α / rank) B A with W frozen (Hu et al. 2021,
/// arXiv:2106.09685).
public struct LoRASettings: TuningMethod, Equatable {
  public var rank: Int
  public var alpha: Double
  public var dropout: Double
  public var targets: Targets

  public init(rank: Int, alpha: Double, dropout: Double, targets: Targets) {
    self.rank = rank
    self.alpha = alpha
    self.dropout = dropout
    self.targets = targets
  }

  init(_ row: PartConfiguration) {
    self.init(rank: row.rank, alpha: row.alpha, dropout: row.dropout, targets: row.targets)
  }

  public func tuning(of part: ModelPart) throws -> any Tuning { try LoRA(part, self) }
}

extension TuningMethod where Self == LoRASettings {
  public static func lora(_ settings: LoRASettings) -> LoRASettings { settings }
}

/// Low-rank updates at work in a part.
public final class LoRA: Tuning {
  public let part: ModelPart
  public let settings: LoRASettings
  /// The layers that were wrapped, in the order of the forward pass.
  public private(set) var layers: [LoRALinear] = []
  private let matches: (String, Bool) -> Bool
  private var untouched: [String] = []

  public init(_ part: ModelPart, _ settings: LoRASettings) throws {
    self.part = part
    self.settings = settings
    matches = try settings.targets.matcher()
  }

  public var added: [Parameter] { layers.flatMap { [$0.down, $0.up] } }
  public let isMergeable = true

  public var summary: (method: String, what: String) {
    var kinds: [String: Int] = [:]
    for layer in layers { kinds[String(layer.base.path.split(separator: ".").last ?? ""), default: 0] += 1 }
    let names = kinds.sorted { $0.key < $1.key }.map { "\($0.key) ×\($0.value)" }.joined(separator: ", ")
    return ("lora r=\(settings.rank) α=\(settings.alpha)", "\(layers.count) layers: \(names)")
  }

  public func transform(_ layer: any LinearLayer, in scope: Scope) -> any LinearLayer {
    guard MultimodalModel.part(of: scope.path) == part else { return layer }
    guard matches(scope.path, MultimodalModel.isHead(scope.path)) else {
      untouched.append(scope.path)
      return layer
    }
    let wrapped = LoRALinear(layer.base, scope, settings)
    layers.append(wrapped)
    return wrapped
  }

  public func check(_ model: MultimodalModel) throws {
    let found = layers.map(\.base.path)
    let place = "train.parts.\(part.rawValue).targets"
    if case .names(let names) = settings.targets {
      for name in names where !found.contains(where: { Targets.ends($0, with: name) }) {
        let endings = Set(untouched.compactMap { $0.split(separator: ".").last.map(String.init) })
        throw Fault(
          .badConfiguration, "target '\(name)' matches no linear layer\(didYouMean(name, among: endings))", at: place,
          "name layers of this part, or use all-linear")
      }
    }
    if let head = layers.first(where: { $0.base.isTied }) {
      throw Fault(
        .badConfiguration, "target '\(head.base.path)' shares its weight with the embedding", at: place,
        "leave the head out")
    }
    guard found.isEmpty else { return }
    let example = untouched.first.map { "such as '\($0)'" } ?? "of which it has none"
    throw Fault(
      .badConfiguration, "the targets match no linear layer of the \(part.rawValue) part", at: place,
      "match whole module paths, \(example)")
  }

  /// Draws A from the uniform distribution that PEFT uses (Kaiming, a = √5: bound 1/√inputs) and sets B to zero.
  public func initialise(seed: UInt64, in adapted: AdaptedModel, _ backend: any Backend) {
    let stream = RandomStream([seed]).named("lora")
    for layer in layers {
      let (draws, bound) = (stream.named(layer.down.name), 1 / Double(layer.base.inputs).squareRoot())
      let values = (0..<layer.down.count).map { Float((draws.uniform(at: $0) * 2 - 1) * bound) }
      layer.down.value = backend.tensor(values, layer.down.shape)
      layer.up.value = backend.zeros(layer.up.shape)
    }
  }
}

/// y = x Wᵀ + b + (α / rank) · dropout(x) Aᵀ Bᵀ
public final class LoRALinear: LinearLayer {
  public let base: Linear
  /// A, [rank, inputs]
  public let down: Parameter
  /// B, [outputs, rank]
  public let up: Parameter
  public let scale: Float
  private let dropout: Float

  init(_ base: Linear, _ scope: Scope, _ settings: LoRASettings) {
    self.base = base
    down = scope.parameter("lora_A.weight", [settings.rank, base.inputs])
    up = scope.parameter("lora_B.weight", [base.outputs, settings.rank])
    scale = Float(settings.alpha / Double(settings.rank))
    dropout = Float(settings.dropout)
  }

  public func projection(_ context: Context) -> Projection {
    let dropout = Dropout(rate: dropout, context.randomness?.named(base.path))
    return base.projection(
      context, update: LowRank(down: context[down], up: context[up], scale: scale, dropout: dropout))
  }

  /// W + (α / rank) B A, in the layout of W.
  public func merged(_ backend: any Backend) -> Tensor {
    let weight = backend.plain(base.weight.value, as: .float32)
    let (up, down) = (up.value, down.value)
    return switch base.layout {
    case .outputsFirst: backend.product(Factor(up), Factor(down), scale: scale, start: .rows(weight))
    case .inputsFirst:
      backend.product(
        Factor(down, transposed: true), Factor(up, transposed: true), scale: scale, start: .rows(weight))
    }
  }
}
