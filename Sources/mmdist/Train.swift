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
      Without -c it takes ./mmdist.yaml when that is there, else the built-in demo. Under mpirun every rank takes a share \
      of the global batch; the result is the same bits on any number of ranks.

      Stop with SIGUSR1 or a file named STOP in the output folder: the step is finished, a checkpoint written, and the \
      exit code is 75; the same command goes on from there.

      Keys of the run file:

      \(RunConfiguration.documentation)
      """)

  @OptionGroup var runFile: RunFileOptions

  @Option(
    help: ArgumentHelp(
      "Where to go on: auto (newest whole checkpoint), never, or a checkpoint.", valueName: "auto|never|DIR"))
  var resume = "auto"

  @OptionGroup var profile: ProfileOptions

  func validate() throws {
    guard !resume.isEmpty else { throw ValidationError("--resume is empty; give auto, never or a checkpoint") }
  }

  func run() throws {
    let stop = StopRequest()
    try withWorld { communicator in
      let trace = profile.request
      guard let configuration = try runFile.read() else {
        return try DemoRun(
          sets: runFile.sets, resume: resume, stop: stop, trace: trace, communicator: communicator
        ).run()
      }
      let training = try Train.start(configuration, stop: stop, trace: trace, communicator)
      return try Train.go(training, resume: resume, stop: stop) == .stopped ? Fault.Kind.stopped.rawValue : 0
    }
  }

  /// Everything up to the first step.
  static func start(
    _ configuration: RunConfiguration, stop: StopRequest, trace: TraceRequest?, _ communicator: any Communicator
  ) throws -> TrainingRun {
    try configuration.validate()
    stop.output = configuration.output
    let count = ThreadCount(communicator)
    let backend = try CPUBackend(threads: count.threads)
    let console = Console(every: configuration.log.every)
    let mixed = try warningOfMixedProducts(backend, communicator)
    if communicator.rank == 0 {
      let ranks = communicator.count == 1 ? "1 rank" : "\(communicator.count) ranks"
      console.note("mmdist \(Mmdist.version): \(ranks), \(backend.summary)")
      for warning in [count.warning, mixed].compactMap(\.self) { console.note(warning) }
    }
    return try TrainingRun(
      configuration, communicator, backend, threads: count.threads, cache: configuration.cacheFolder, audience: console,
      trace: trace)
  }

  static func go(_ training: TrainingRun, resume: String, stop: StopRequest) throws -> TrainingRun.Ending {
    switch resume {
    case "auto": try training.run(resume: .auto, stop: stop)
    case "never": try training.run(resume: .never, stop: stop)
    default: try training.run(resume: .from(resume), stop: stop)
    }
  }
}

/// Whether some steps are to be looked at.
struct ProfileOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write where the time of some steps goes, as a trace for chrome://tracing or ui.perfetto.dev.",
      valueName: "FILE.json"))
  var profile: String?

  @Option(
    help: ArgumentHelp(
      "Which steps, counted from the first that this run does; default 2...4.", valueName: "FIRST...LAST"))
  var profileSteps: String?

  func validate() throws {
    guard let profileSteps else { return }
    guard profile != nil else { throw ValidationError("--profile-steps needs --profile FILE.json") }
    guard ProfileOptions.range(profileSteps) != nil else {
      throw ValidationError("--profile-steps \(profileSteps) is no range of steps; give one such as 2...4")
    }
  }

  var request: TraceRequest? {
    profile.map { TraceRequest(path: $0, steps: profileSteps.flatMap(ProfileOptions.range)) }
  }

  /// "2...4", or "3" for one step; nil for what is neither.
  private static func range(_ text: String) -> ClosedRange<Int>? {
    let ends = text.components(separatedBy: "...").map { Int($0) }
    guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first >= 1, first <= last else {
      return nil
    }
    return first...last
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
