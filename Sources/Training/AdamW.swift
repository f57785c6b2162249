import Adapters
import Foundation
import Models
import Tensors

/// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) over the trainable parameters of a model, with rates and
/// decays of their own for each part.
public final class AdamW {
  public struct Settings: Equatable, Sendable {
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double

    public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
    }
  }

  /// What is kept for a parameter.
  final class State {
    let parameter: Parameter
    let part: ModelPart
    /// Biases and norm weights do not decay.
    let decays: Bool
    let first: Tensor
    let second: Tensor
    /// How often it was updated; a parameter without a gradient in a step is left alone.
    var updates = 0

    init(_ parameter: Parameter, _ backend: any Backend) {
      self.parameter = parameter
      part = MultimodalModel.part(of: parameter.name)
      decays = !AdamW.isBiasOrNorm(parameter.name)
      first = backend.zeros(parameter.shape)
      second = backend.zeros(parameter.shape)
    }
  }

  let settings: Settings
  let states: [State]
  private let backend: any Backend

  /// - Parameter parameters: in the order in which `update` gets their gradients.
  public init(_ parameters: [Parameter], _ settings: Settings, _ backend: any Backend) {
    self.settings = settings
    self.backend = backend
    states = parameters.map { State($0, backend) }
  }

  /// Whether a parameter is a bias or the weight of a norm, by its name.
  static func isBiasOrNorm(_ name: String) -> Bool {
    let parts = name.split(separator: ".")
    if name.hasSuffix("bias") { return true }
    guard parts.last == "weight", parts.count > 1 else { return false }
    let module = parts[parts.count - 2].lowercased()
    return module.contains("norm") || module.contains("ln_")
  }

  /// Updates every parameter that has a gradient.
  ///
  /// - Parameters: gradients: one for each parameter, nil where none; `gradientScale` multiplies them first.
  func update(
    gradients: [Tensor?], gradientScale: Float, rate: (ModelPart) -> Double, decay: (ModelPart) -> Double
  ) {
    for (state, gradient) in zip(states, gradients) {
      guard let gradient else { continue }
      state.updates += 1
      backend.adamW(
        weight: state.parameter.value, first: state.first, second: state.second, gradient: gradient,
        AdamWStep(
          step: state.updates, rate: rate(state.part), weightDecay: state.decays ? decay(state.part) : 0,
          beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, gradientScale: gradientScale))
    }
  }
}
