import Evaluation
import Foundation
import Ground
import Parallel
import RunFile

/// What the evaluations of a run have said so far: which was the best, whether it is time to end, whether pictures are used.
///
/// It follows from the lines of `metrics.jsonl` alone, so a run that goes on knows what one without a stop would know.
struct EvaluationHistory {
  private let configuration: EvaluateConfiguration
  private let steps: Int
  private(set) var best: (step: Int, value: Double)?
  /// Evaluations since the best one.
  private(set) var sinceBest = 0
  private var alarm = ImageAlarm()

  /// - Parameter steps: of the whole run.
  init(_ configuration: EvaluateConfiguration, steps: Int) {
    (self.configuration, self.steps) = (configuration, steps)
  }

  /// Takes up the lines of a log up to `step`, which rank 0 reads.
  init(
    _ configuration: EvaluateConfiguration, steps: Int, log: String, upTo step: Int, _ communicator: any Communicator
  ) throws {
    self.init(configuration, steps: steps)
    let told = try communicator.agreeOnSuccess { () -> JSON in
      guard communicator.rank == 0, step > 0, FileManager.default.fileExists(atPath: log) else { return [] }
      var lines: [JSON] = []
      _ = MetricsLog.forEachLine(of: try readFile(log), upTo: step) { own, json in
        guard json["evaluation"] != nil || json["image_use"] != nil else { return }
        lines.append([
          "step": .integer(own), "evaluation": json["evaluation"] ?? nil, "image_use": json["image_use"] ?? nil,
        ])
      }
      return .array(lines)
    }
    let bytes = try communicator.broadcast(Array(told.description.utf8))
    for line in try JSON(parsing: String(decoding: bytes, as: UTF8.self), at: log).array ?? [] {
      let step = line["step"]?.integer ?? 0
      if let value = configuration.best.flatMap({ line["evaluation"]?[$0]?.double }) { add(value, step: step) }
      if let use = line["image_use"], let right = use["right"]?.double, let shuffled = use["shuffled"]?.double {
        _ = alarm.add(ImageProbe.Reading(right: right, shuffled: shuffled), step: step, of: steps)
      }
    }
  }

  /// Takes note of a step.
  /// - Returns: whether it is the best so far, and what is to be said.
  /// - Throws: `Fault(.badConfiguration)` where the figure that the run file names is not there.
  mutating func add(_ report: StepReport) throws -> (isBest: Bool, notes: [String]) {
    var (isBest, notes): (Bool, [String]) = (false, [])
    if let name = configuration.best, let figures = report.evaluation {
      guard let value = figures[name] else {
        throw Fault(
          .badConfiguration,
          "'evaluate.best' names no figure of the evaluation: '\(name)'\(didYouMean(name, among: figures.keys))",
          at: "evaluate.best", "use \(figures.keys.joined(separator: ", "))")
      }
      isBest = add(value, step: report.step)
      if isBest {
        notes.append("step \(report.step): the best \(name) so far; its checkpoint is kept as checkpoints/best")
      }
    }
    if let reading = report.imageUse, let line = alarm.add(reading, step: report.step, of: steps) { notes.append(line) }
    return (isBest, notes)
  }

  @discardableResult
  private mutating func add(_ value: Double, step: Int) -> Bool {
    let isLess = Measurement.isBetterWhenLess(configuration.best ?? "")
    guard value.isFinite, best.map({ isLess ? value < $0.value : value > $0.value }) ?? true else {
      sinceBest += 1
      return false
    }
    (best, sinceBest) = ((step, value), 0)
    return true
  }

  /// Why the run ends before its last step; nil: it goes on.
  var reasonToEnd: String? {
    guard let patience = configuration.patience, sinceBest >= patience, let best, let name = configuration.best else {
      return nil
    }
    return "\(name) has not been better than \(best.value) of step \(best.step) in \(sinceBest) evaluations"
  }

  /// What `checkpoints/best.json` says.
  var json: JSON? {
    best.map { ["step": .integer($0.step), "metric": .string(configuration.best ?? ""), "value": .number($0.value)] }
  }
}
