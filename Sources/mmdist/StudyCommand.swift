import ArgumentParser
import Foundation
import Ground
import Parallel
import RunFile
import Study
import Tensors
import Training

struct StudyCommand: ParallelCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Trains and compares variants of a run: methods, models, amount and quality of data.",
    discussion: """
      Every combination of settings is a cell, trained and measured in a folder of its own; started again, the study goes \
      on where it was. A cell that fails is recorded with its reason, and the study goes on. Stop with SIGUSR1 or a file \
      named STOP in the study's output folder; the exit code is 75.

        run: mmdist.yaml
        output: ./study
        vary:
          method:
            lora: {train.parts.language: {train: lora, rank: 16, alpha: 32, learning_rate: 2.0e-3}}
            full: {train.parts.language: {train: full, learning_rate: 1.0e-3}}
          data_size: [50, 200, 800]
        repeats: 3
        metrics: [exact_match, loss]
        baseline: {method: full}

      Keys of the study file:

      \(StudyConfiguration.documentation)
      """)

  @Option(name: [.short, .customLong("config")], help: ArgumentHelp("The study file.", valueName: "study.yaml"))
  var config: String
  @Flag(help: "Train nothing; write the report of what is there.") var report = false

  func run() throws {
    let stop = StopRequest()
    try withWorld { communicator in
      let configuration = try StudyConfiguration(contentsOf: config)
      let count = ThreadCount(communicator)
      let study = try Study(configuration, communicator, threads: count.threads) {
        try CPUBackend(threads: count.threads)
      }
      var ending = Study.Ending.finished
      if !report {
        if let warning = count.warning, communicator.rank == 0 { writeToStandardError("mmdist: \(warning)\n") }
        ending = try study.run(stop, StudyConsole())
      }
      let failed = try communicator.agreeOnSuccess {
        communicator.rank == 0 ? try write(study, isShown: ending == .finished) : 0
      }
      if ending == .stopped {
        say(communicator, "stopped as asked; start again to go on")
        return Fault.Kind.stopped.rawValue
      }
      return Int32(try communicator.allReduceSum([failed])[0])
    }
  }

  /// Writes what the study came to.
  /// - Returns: the exit code of the first cell that failed; 0: none did.
  private func write(_ study: Study, isShown: Bool) throws -> Int {
    let output = study.configuration.output
    let results = study.results
    let table = StudyTable(study.configuration, study.cells, results)
    try makeFolder(output)
    try writeDurably(studyCSV(study.cells, results), to: output + "/results.csv")
    try writeDurably(table.json.indented, to: output + "/study.json")
    let name = (config as NSString).lastPathComponent
    try table.page(title: "Study \(name)", subtitle: "\(study.configuration.run); \(study.cells.count) cells")
      .write(to: output + "/study.html")
    guard isShown else { return 0 }
    printLine("\n" + table.text)
    printLine("report: \(output)/study.html; all figures: results.csv, study.json")
    for case .failed(let kind, _)? in results.map({ $0?.outcome }) { return Int(kind.rawValue) }
    return 0
  }
}

/// Shows a study: a line for each cell, and on a terminal its steps.
private final class StudyConsole: Study.Audience {
  private let console = Console(every: .max)
  private let began = Date()

  func note(_ line: String) {
    let isTold = ["warning:", "resumed"].contains(where: line.hasPrefix) || line.hasSuffix("are done already")
    if isTold { console.note(line) }
  }

  func progress(_ report: StepReport, of steps: Int) {
    if Console.showsTerminal { console.progress(report, of: steps) }
  }

  func begins(_ cell: StudyCell, _ number: Int, of count: Int) {
    let passed = Date().timeIntervalSince(began)
    let rest = number > 1 ? ", about \(duration(passed / Double(number - 1) * Double(count - number + 1))) to go" : ""
    console.note("cell \(number) of \(count)\(rest): \(cell.name)")
  }

  func ended(_ cell: StudyCell, _ result: CellResult) {
    switch result.outcome {
    case .measured(let own):
      let figures = own.main.map { "\($0) \(fixed(own.figures[$0] ?? .nan, 4))" }.joined(separator: ", ")
      console.note("  \(figures) over \(own.records) records; \(own.steps) steps in \(duration(own.seconds))")
    case .failed(_, let line): console.note("  failed: \(line)")
    }
  }
}
