import Tensors

/// A moving average of the trained weights (Polyak & Juditsky 1992), from their values before the first step on:
/// a ← a + (1 − d)(w − a) after every step, as `torch.optim.swa_utils` and timm compute it.
public final class MovingAverage {
  public struct Settings: Equatable, Sendable {
    /// d, below 1.
    public var decay: Double
    /// Whether d is at most (1 + t) / (10 + t) in step t, so that the first weights are soon forgotten.
    public var warmsUp: Bool

    public init(decay: Double, warmsUp: Bool = false) {
      self.decay = decay
      self.warmsUp = warmsUp
    }

    func decay(step: Int) -> Double { warmsUp ? min(decay, Double(1 + step) / Double(10 + step)) : decay }
  }

  let settings: Settings
  let averages: [(parameter: Parameter, value: Tensor)]
  private let backend: any Backend

  init(_ parameters: [Parameter], _ settings: Settings, _ backend: any Backend) {
    self.settings = settings
    self.backend = backend
    averages = parameters.map {
      ($0, backend.empty($0.shape, .float32))
    }
    restart()
  }

  /// Begins anew from the present weights.
  func restart() {
    for (parameter, value) in averages {
      backend.withBytes(of: parameter.value) { backend.overwrite(value, with: $0) }
    }
  }

  /// - Parameter step: the step of the stage that was just done, 1 the first.
  func update(step: Int) {
    let share = Float(1 - settings.decay(step: step))
    for (parameter, value) in averages { backend.move(value, towards: parameter.value, share: share) }
  }
}
