import Ground
import Parallel

/// Where the time of one step went: the mean over the ranks.
public struct StepMeasurement: Sendable {
  public var seconds: Double
  /// Seconds of each phase, in the order of ``phases``.
  public var phaseSeconds: [Double]
  /// Floating-point operations that a rank's matrix work needs, by the type of its factors, which
  /// decides its speed.
  public var operations: (float32: Double, bfloat16: Double)
  /// Seconds in the primitives that do this work.
  public var matrixSeconds: Double
  /// Of the whole global batch.
  public var tokens: Int

  /// The phases of a step.
  public static let phases = StepPhase.allCases.filter { $0 != .checkpoint }

  /// What no phase accounts for.
  public var otherSeconds: Double { seconds - phaseSeconds.reduce(0, +) }
  public var allOperations: Double { operations.float32 + operations.bfloat16 }

  /// The mean over all ranks of what each recorded in one step.
  init(_ recording: Profile.Recording, tokens: Int, _ communicator: any Communicator) throws {
    let all = recording.total(.primitive)
    let matrix = recording.totals.filter { $0.key.kind == .primitive && $0.value.operations > 0 }
    let own =
      [
        recording.total(.step).seconds, Double(all.operations - all.narrowOperations), Double(all.narrowOperations),
        matrix.values.reduce(0) { $0 + $1.seconds },
      ] + Self.phases.map { recording.total(.phase, $0.rawValue).seconds }
    let means = try communicator.allReduceSum(own).map { $0 / Double(communicator.count) }
    (seconds, self.operations, matrixSeconds) = (means[0], (means[1], means[2]), means[3])
    phaseSeconds = Array(means[4...])
    self.tokens = tokens
  }
}

extension TrainingRun {
  /// Does the first `count` steps and writes nothing: for measurements. The weights change in memory only.
  ///
  /// The loader goes on reading ahead until the last step is done, as it does in a long run.
  /// - Precondition: the run was made with a profile.
  public func rehearse(steps count: Int) throws -> [StepMeasurement] {
    guard let profile else { preconditionFailure("rehearse: the run has no profile") }
    let loader = makeLoader(steps: 1..<count + 1000)
    defer { loader.cancel() }
    _ = profile.take()
    profile.isRecording = true
    defer { profile.isRecording = false }
    return try (0..<count).map { _ in
      let report = try trainer.trainStep(loader)
      return try StepMeasurement(profile.take(), tokens: report.tokens, communicator)
    }
  }
}
