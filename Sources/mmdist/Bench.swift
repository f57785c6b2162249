import ArgumentParser
import Demo
import Ground
import Parallel
import RunFile
import Tensors
import Training

struct Bench: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures the machine, and a few training steps against it.",
    discussion: """
      First what the machine can do: products in float32 and bfloat16 and copies larger than the last cache, with one \
      thread and with all threads of the rank, and under mpirun sums over the ranks. Then some steps of the run file \
      (-c, else ./mmdist.yaml, else the built-in demo) by part. Nothing is written but the report: the steps train in \
      memory, and the run's output folder is not touched.

      "Matrix work at the measured rate" is the time that the step's products and attention would take at the product \
      rate above, as a share of the step: what is missing to 100 % is everything else. It counts the operations that \
      the results need: 2·m·k·n a product, pairs of a query and a key that it sees in attention, and nothing for \
      other work.

      Each figure is the mean over the ranks, which all measure at the same time. Let nothing else run meanwhile.

        mmdist bench                              this machine, and the demo
        mpirun -n 2 mmdist bench -c run.yaml      two ranks, and your own run
        mmdist bench --steps 0 --json m.json      the machine alone, to a file
      """)

  @OptionGroup var runFile: RunFileOptions

  @Option(help: ArgumentHelp("How many steps, after one that warms up; 0: none. An odd number has a middle."))
  var steps =
    5

  @Option(help: ArgumentHelp("Also write the figures to a file.", valueName: "FILE.json")) var json: String?

  func validate() throws {
    guard (0...1000).contains(steps) else { throw ValidationError("--steps \(steps) is not within 0 to 1000") }
  }

  func run() throws {
    try withWorld { communicator in
      if let json, communicator.rank == 0 { try requireWritable(json) }
      let count = ThreadCount(communicator)
      let backend = try CPUBackend(threads: count.threads)
      let console = Warnings()
      let mixed = try warningOfMixedProducts(backend, communicator)
      if communicator.rank == 0 {
        let ranks = communicator.count == 1 ? "1 rank" : "\(communicator.count) ranks"
        printLine("mmdist \(Mmdist.version): \(ranks), \(backend.summary)\n")
        for warning in [count.warning, mixed].compactMap(\.self) { console.note(warning) }
      }
      let (machine, training) = try communicator.withScratchFolder("mmdist-bench") { folder, isOwn in
        // The run is made first: what is wrong with it is told before anything is measured.
        let run =
          try steps > 0 ? prepare(in: folder, isOwn, communicator, backend, threads: count.threads, console) : nil
        let machine = try MachineMeasurement(communicator, threads: count.threads)
        return (machine, try run.map { (name: $0.name, steps: steps, step: try medianStep($0.run)) })
      }
      guard communicator.rank == 0 else { return 0 }
      let report = BenchReport(
        backend: backend.summary, ranks: communicator.count, threads: count.threads, cores: ThreadCount.boundCores,
        machine: machine, training: training)
      printLine(report.table)
      if let json { try writeDurably(report.json.indented, to: json) }
      return 0
    }
  }

  /// The run whose steps are measured, with its output in `folder`.
  private func prepare(
    in folder: String, _ isOwn: Bool, _ communicator: any Communicator, _ backend: any Backend, threads: Int,
    _ console: Warnings
  ) throws -> (name: String, run: TrainingRun) {
    let chosen = try runFile.read()
    var configuration = try chosen ?? demo(in: folder, isOwn, communicator)
    try configuration.validate()
    configuration.output = folder + "/run"
    configuration.cache.features = .off  // every step is a first epoch's
    let run = try TrainingRun(
      configuration, communicator, backend, threads: threads, audience: console, profile: Profile(limit: 0))
    return (chosen == nil ? "the demo" : runFile.config ?? "mmdist.yaml", run)
  }

  /// The step whose time is the median, after one that warms up.
  private func medianStep(_ run: TrainingRun) throws -> StepMeasurement {
    try run.rehearse(steps: steps + 1).dropFirst().sorted { $0.seconds < $1.seconds }[(steps - 1) / 2]
  }

  /// The demo, with fewer pictures: ranks that share the folder share one copy.
  private func demo(in folder: String, _ isOwn: Bool, _ communicator: any Communicator) throws -> RunConfiguration {
    try communicator.agreeOnSuccess { if isOwn { try writeDemo(to: folder, trainingPictures: 512) } }
    return try RunConfiguration(contentsOf: folder + "/mmdist.yaml", sets: runFile.sets)
  }
}

/// Passes on warnings and nothing else.
private final class Warnings: TrainingRun.Audience {
  func note(_ line: String) {
    if line.hasPrefix("warning:") { writeToStandardError("mmdist: \(line)\n") }
  }

  func progress(_ report: StepReport, of steps: Int) {}
}
