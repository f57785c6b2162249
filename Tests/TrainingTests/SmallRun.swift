import Foundation
import Ground
import Parallel
import RunFile
import Tensors
import TestSupport

@testable import Training

/// Whole runs of a tiny model in this process, in a test's folder.
struct SmallRun: Sendable {
  let folder: String
  let yaml: String

  /// - Parameter folder: gets the records and everything else.
  init(_ folder: String) throws {
    self.folder = folder
    let golden = try Golden("gpt2")
    try readFile(golden.recordsFile).write(to: URL(fileURLWithPath: folder + "/train.jsonl"))
    yaml = """
      model: \(golden.modelFolder)
      output: \(folder)/run
      data: {train: [{path: \(folder)/train.jsonl, images: \(golden.imagesFolder)}], max_length: 512}
      train:
        precision: float32
        global_batch: 4
        steps: 6
        schedule: {name: constant, warmup_ratio: 0.0}
        parts: {language: {train: lora, rank: 2, alpha: 4, learning_rate: 1.0e-3, targets: [c_attn]}}
      checkpoint: {every: 1, keep: 100}
      log: {tensorboard: false}
      cache: {folder: \(folder)/cache}
      """
  }

  /// Hears what a run tells, and may ask it to stop.
  final class Listener: TrainingRun.Audience {
    var notes: [String] = []
    var stopAfter: (step: Int, file: String)?

    func note(_ line: String) { notes.append(line) }
    func progress(_ report: StepReport, of steps: Int) {
      guard let stopAfter, report.step == stopAfter.step else { return }
      try? Data().write(to: URL(fileURLWithPath: stopAfter.file))
    }
  }

  /// - Parameters:
  ///   - stopAfter: a step whose end finds a file `STOP`.
  /// - Returns: how it ended, and what was said.
  @discardableResult
  func train(
    _ sets: [String] = [], resume: TrainingRun.Resume = .auto, stopAfter: Int? = nil, ranks: Int = 1
  ) throws -> (ending: TrainingRun.Ending, notes: [String]) {
    try InProcessCommunicator.run(ranks) { communicator in
      let configuration = try RunConfiguration(parsing: yaml, sets: sets)
      let (listener, stop) = (Listener(), StopRequest())
      stop.output = configuration.output
      listener.stopAfter = stopAfter.map { ($0, configuration.output + "/STOP") }
      let run = try TrainingRun(
        configuration, communicator, CPUBackend(threads: 1), threads: 1, audience: listener)
      return (try run.run(resume: resume, stop: stop), listener.notes)
    }[0]
  }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(name)") }

  func bytes(_ name: String) throws -> Data { try readFile("\(folder)/\(name)") }

  /// The names in a folder of checkpoints, without those that lead to others.
  func steps(_ output: String = "run") throws -> [Int] {
    try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(output)/checkpoints").compactMap { name in
      name.hasPrefix("step-") ? Int(name.dropFirst(5)) : nil
    }.sorted()
  }

  /// The lines of `metrics.jsonl` without what depends on the clock.
  func metrics(_ output: String = "run") throws -> [JSON] {
    try String(decoding: bytes("\(output)/metrics.jsonl"), as: UTF8.self).split(separator: "\n").map { line in
      let json = try JSON(parsing: String(line), at: output)
      return StepReport.timingKeys.reduce(json) { $0.without($1) }
    }
  }

  func loggedSteps(_ output: String = "run") throws -> [Int] { try metrics(output).compactMap { $0["step"]?.integer } }

  var adapter: Data { get throws { try bytes("run/adapter/adapter_model.safetensors") } }

  func checkpoint(_ step: Int, of output: String = "run") -> String {
    "\(folder)/\(output)/checkpoints/step-0000000\(step)"
  }
}
