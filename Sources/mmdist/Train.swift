import ArgumentParser
import Foundation
import Ground
import Parallel
import RunFile
import Tensors
import Training

struct Train: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fine-tunes a model as a run file says.",
    discussion: """
      Without -c it takes ./mmdist.yaml when that is there, else the built-in demo. Under mpirun every rank takes a share
      of the global batch; the result is the same bits on any number of ranks.

      Stop with SIGUSR1 or a file named STOP in the output folder: the step is finished, a checkpoint written, and the
      exit code is 75; the same command goes on from there.

      Keys of the run file:

      \(RunConfiguration.documentation)
      """)

  @OptionGroup var runFile: RunFileOptions

  @Option(
    help: ArgumentHelp(
      "Where to go on: auto (newest whole checkpoint), never, or a checkpoint.", valueName: "auto|never|DIR"))
  var resume = "auto"

  func run() throws {
    let stop = StopRequest()
    try withWorld { communicator in
      guard let configuration = try runFile.read() else {
        return try DemoRun(sets: runFile.sets, resume: resume, stop: stop, communicator: communicator).run()
      }
      let training = try Train.start(configuration, stop: stop, communicator)
      return try Train.go(training, resume: resume, stop: stop) == .stopped ? Fault.Kind.stopped.rawValue : 0
    }
  }

  /// Everything up to the first step.
  static func start(
    _ configuration: RunConfiguration, stop: StopRequest, _ communicator: any Communicator
  ) throws -> TrainingRun {
    try configuration.validate()
    stop.output = configuration.output
    let count = ThreadCount(communicator)
    let backend = try CPUBackend(threads: count.threads)
    let console = Console(every: configuration.log.every)
    if communicator.rank == 0 {
      let ranks = communicator.count == 1 ? "1 rank" : "\(communicator.count) ranks"
      console.note("mmdist \(Mmdist.version): \(ranks), \(backend.summary)")
      if let warning = count.warning { console.note(warning) }
    }
    return try TrainingRun(
      configuration, communicator, backend, threads: count.threads, cache: standardCache, audience: console)
  }

  static func go(_ training: TrainingRun, resume: String, stop: StopRequest) throws -> TrainingRun.Ending {
    switch resume {
    case "auto": try training.run(resume: .auto, stop: stop)
    case "never": try training.run(resume: .never, stop: stop)
    default: try training.run(resume: .from(resume), stop: stop)
    }
  }
}

/// Which run file, and what is different in it.
struct RunFileOptions: ParsableArguments {
  @Option(name: [.short, .customLong("config")], help: ArgumentHelp("The run file.", valueName: "run.yaml"))
  var config: String?

  @Option(
    name: .customLong("set"), parsing: .upToNextOption,
    help: ArgumentHelp("A key of the run file and its value; may be given several times.", valueName: "key.path=value"))
  var sets: [String] = []

  /// The configuration; nil where none is named and ./mmdist.yaml is not there.
  func read() throws -> RunConfiguration? {
    if let config { return try RunConfiguration(contentsOf: config, sets: sets) }
    guard FileManager.default.fileExists(atPath: "mmdist.yaml") else { return nil }
    return try RunConfiguration(contentsOf: "mmdist.yaml", sets: sets)
  }

  /// The configuration, which must be there.
  func require() throws -> RunConfiguration {
    guard let configuration = try read() else {
      throw Fault(.usage, "no run file", at: "./mmdist.yaml", "name one by -c")
    }
    try configuration.validate()
    return configuration
  }
}
