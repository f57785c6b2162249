import Foundation
import Ground

/// What a profile says in short: how the time of a step divides into phases, and which primitives take most of it.
public struct ProfileSummary: Sendable {
  public let steps: Int
  /// Seconds of all steps together, checkpoints not counted.
  public let seconds: Double
  /// Seconds of each phase that occurs, over all steps.
  public let phases: [(phase: StepPhase, seconds: Double)]
  /// All primitives, the longest first.
  public let primitives: [(name: String, total: Profile.Total)]

  public init(_ recording: Profile.Recording) {
    let whole = recording.total(.step)
    (steps, seconds) = (whole.calls, whole.seconds)
    phases = StepPhase.allCases.compactMap { phase in
      let total = recording.total(.phase, phase.rawValue)
      return total.calls > 0 ? (phase, total.seconds) : nil
    }
    primitives = recording.totals.filter { $0.key.kind == .primitive }
      .map { key, total in (key.type.map { "\(key.name) \($0)" } ?? key.name, total) }
      .sorted { ($1.1.seconds, $0.0) < ($0.1.seconds, $1.0) }
  }

  /// Seconds of the steps that no phase accounts for.
  public var otherSeconds: Double {
    seconds - phases.reduce(0) { $0 + ($1.phase == .checkpoint ? 0 : $1.seconds) }
  }

  /// An aligned table, a line an element.
  public var table: [String] {
    guard steps > 0 else { return ["no step was recorded"] }
    let perStep = 1e3 / Double(steps)
    var rows = [["phase", "ms a step", "share"]]
    for (phase, time) in phases { rows.append([phase.rawValue, fixed(time * perStep, 1), share(time)]) }
    rows.append(["other", fixed(otherSeconds * perStep, 1), share(otherSeconds)])
    rows.append(["step", fixed(seconds * perStep, 1), share(seconds)])
    var work = [["primitive", "ms a step", "share", "calls a step", "GFLOP/s"]]
    for (name, total) in primitives.prefix(12) {
      let rate = total.operations > 0 ? fixed(Double(total.operations) / total.seconds * 1e-9, 0) : ""
      work.append([
        name, fixed(total.seconds * perStep, 1), share(total.seconds), fixed(Double(total.calls) / Double(steps), 1),
        rate,
      ])
    }
    return aligned(rows) + [""] + aligned(work)
  }

  private func share(_ time: Double) -> String { fixed(100 * time / max(seconds, 1e-12), 1) + " %" }

  private func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
