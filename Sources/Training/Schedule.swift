import Foundation

/// How learning rates change over a run, as a factor of their peak.
public struct Schedule: Equatable, Sendable {
  public enum Shape: Sendable { case cosine, linear, constant }

  public let shape: Shape
  public let warmupSteps: Int
  public let steps: Int

  public init(shape: Shape, warmupSteps: Int, steps: Int) {
    self.shape = shape
    self.warmupSteps = warmupSteps
    self.steps = steps
  }

  /// The factor of step `step` (1 is the first): f(step − 1), which rises from 0 over the warm-up, then
  /// falls to 0 along half a cosine or a line, or stays at 1.
  public func factor(step: Int) -> Double {
    let done = step - 1
    if done < warmupSteps { return Double(done) / Double(max(1, warmupSteps)) }
    let progress = Double(done - warmupSteps) / Double(max(1, steps - warmupSteps))
    switch shape {
    case .constant: return 1
    case .linear: return max(0, 1 - progress)
    case .cosine: return max(0, 0.5 * (1 + cos(Double.pi * progress)))
    }
  }
}
