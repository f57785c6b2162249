import Modules
import RunFile
import Tensors

/// y = x Wᵀ + b + s · dropout(x) Aᵀ Bᵀ, or with a magnitude m for every output: see `Rescaling`.
public final class LoRALinear: LinearLayer {
  public let base: Linear
  /// A, [rank, inputs]
  public let down: Parameter
  /// B, [outputs, rank]
  public let up: Parameter
  /// m, [outputs]
  public let magnitude: Parameter?
  /// s
  public let scale: Float
  public let rank: Int
  public let alpha: Double
  private let dropout: Float
  /// A and B as they were when the weight gave up s B A, so that an adapter of the whole weight can be written.
  private(set) var origin: (down: Tensor, up: Tensor)?
  /// ‖W + s B A‖ of every output, and of which versions of these three.
  private var lengths: (norms: Tensor, versions: [Int])?

  init(_ base: Linear, _ scope: Scope, _ settings: LoRASettings, rank: Int, alpha: Double) {
    self.base = base
    self.rank = rank
    self.alpha = alpha
    down = scope.parameter("lora_A.weight", [rank, base.inputs])
    up = scope.parameter("lora_B.weight", [base.outputs, rank])
    magnitude = settings.hasMagnitudes ? scope.parameter("lora_magnitude_vector", [base.outputs]) : nil
    let size = Double(rank)
    scale = Float(settings.isRankStabilised ? alpha / size.squareRoot() : alpha / size)
    dropout = Float(settings.dropout)
  }

  /// What it adds to the model, first used first.
  var added: [Parameter] { [down, up] + (magnitude.map { [$0] } ?? []) }

  public func projection(_ context: Context) -> Projection {
    // What is not trained computes the same at every step.
    let dropout = Dropout(rate: down.isTrainable ? dropout : 0, context.randomness?.named(base.path))
    let (down, up) = (context[down], context[up])
    guard let magnitude else {
      return base.projection(context, update: LowRank(down: down, up: up, scale: scale, dropout: dropout))
    }
    return base.projection(
      context,
      update: LowRank(
        down: down, up: up, scale: scale, dropout: dropout, magnitude: context[magnitude],
        norms: knownNorms(context[base.weight], down, up, context.backend)))
  }

  /// ‖W + s B A‖ of every output. Finding them takes longer than a product for one token, and they stay as they are
  /// from one update to the next.
  private func knownNorms(_ weight: Tensor, _ down: Tensor, _ up: Tensor, _ backend: any Backend) -> Tensor {
    let versions = [base.weight, self.down, self.up].map(\.version)
    if let lengths, lengths.versions == versions { return lengths.norms }
    let norms = backend.outputNorms(weight, base.layout, down: down, up: up, scale: scale)
    lengths = (norms, versions)
    return norms
  }
}

// MARK: The first values

extension LoRALinear {
  /// Gives A, B and the magnitudes their first values; the weight has its own.
  func initialise(_ start: LoRAStart, _ stream: RandomStream, _ backend: any Backend) {
    let draws = stream.named(down.name)
    origin = nil
    switch start {
    case .standard:
      // As PEFT's Kaiming-uniform with a = √5.
      let bound = 1 / Double(base.inputs).squareRoot()
      set((0..<down.count).map { Float((draws.uniform(at: $0) * 2 - 1) * bound) }, backend)
    case .gaussian:
      set((0..<down.count).map { Float(draws.normal(at: $0) / Double(rank)) }, backend)
    case .pissa(let iterations):
      let parts = PrincipalParts(of: outputsFirst(backend), count: rank, iterations: iterations, draws, backend)
      take(parts.factors(scale: scale, backend), backend)
    case .olora:
      take(leadingQR(of: outputsFirst(backend), count: rank, backend), backend)
    }
    magnitude?.value = norms(backend)
  }

  private func set(_ values: [Float], _ backend: any Backend) {
    down.value = backend.tensor(values, down.shape)
    up.value = backend.zeros(up.shape)
  }

  /// Starts from A and B, and takes s B A off the weight.
  private func take(_ factors: (down: Tensor, up: Tensor), _ backend: any Backend) {
    origin = factors
    // Training changes parameters in place.
    down.value = backend.add(factors.down, backend.zeros(down.shape))
    up.value = backend.add(factors.up, backend.zeros(up.shape))
    base.weight.value = backend.cast(updated(by: -scale, backend), to: base.weight.value.dtype)
  }

  /// W as [outputs, inputs], f32.
  private func outputsFirst(_ backend: any Backend) -> Tensor {
    let weight = backend.plain(base.weight.value, as: .float32)
    return base.layout == .outputsFirst ? weight : backend.transposed(weight, as: .float32)
  }
}

// MARK: Into the weight and out of it

extension LoRALinear {
  /// ‖W + s B A‖ of every output.
  func norms(_ backend: any Backend) -> Tensor {
    backend.outputNorms(base.weight.value, base.layout, down: down.value, up: up.value, scale: scale)
  }

  /// W + s B A, its rows brought to their magnitudes where it has any, in the layout of W.
  public func merged(_ backend: any Backend) -> Tensor {
    let sum = updated(by: scale, backend)
    guard let magnitude else { return sum }
    return rescaled(sum, by: backend.divide(magnitude.value, by: norms(backend)), backend)
  }

  /// The weight that ``merged(_:)`` made `weight` of: M − s B A, to rounding; nil with magnitudes, since M no longer
  /// says how long its rows were.
  public func unmerged(_ backend: any Backend) -> Tensor? { magnitude == nil ? updated(by: -scale, backend) : nil }

  /// Leaves the weight alone as it is now: what was merged into it must not count twice.
  func takeOut(_ backend: any Backend) {
    up.value = backend.zeros(up.shape)
    magnitude?.value = norms(backend)
  }

  /// W + factor · B A, f32, in the layout of W.
  private func updated(by factor: Float, _ backend: any Backend) -> Tensor {
    let weight = backend.plain(base.weight.value, as: .float32)
    let (up, down) = (up.value, down.value)
    return switch base.layout {
    case .outputsFirst: backend.product(Factor(up), Factor(down), scale: factor, start: .rows(weight))
    case .inputsFirst:
      backend.product(
        Factor(down, transposed: true), Factor(up, transposed: true), scale: factor, start: .rows(weight))
    }
  }

  private func rescaled(_ weight: Tensor, by factors: Tensor, _ backend: any Backend) -> Tensor {
    guard base.layout == .outputsFirst else { return backend.scaleColumns(weight, by: factors, start: .zero) }
    let turned = backend.transposed(weight, as: .float32)
    return backend.transposed(backend.scaleColumns(turned, by: factors, start: .zero), as: .float32)
  }
}
