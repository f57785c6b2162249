import Ground

/// What a training step does one after the other; raw values name the phases in profiles.
public enum StepPhase: String, CaseIterable, Sendable {
  /// Waiting for the loader.
  case data = "data wait"
  case forward
  /// Head and loss, and their gradient, block by block.
  case loss
  /// With the sums over micro-batches.
  case backward
  /// The frozen encoder, for the next step, while gradients travel.
  case lookAhead = "look ahead"
  /// Waiting for other ranks: what the backward pass did not hide.
  case communication = "communication wait"
  /// Norms, clipping, update.
  case optimizer = "optimiser"
  /// After a step, where one is due.
  case checkpoint
}

extension Profile? {
  /// Does `body`, recorded as a phase where there is a profile.
  @discardableResult
  func phase<Value>(_ phase: StepPhase, _ body: () throws -> Value) rethrows -> Value {
    guard let self else { return try body() }
    return try self.span(.phase, phase.rawValue, Profile.Work(), body)
  }
}
