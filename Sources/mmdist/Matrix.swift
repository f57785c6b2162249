import ArgumentParser
import Evaluation
import Foundation
import Ground
import Metrics
import OrderedCollections
import Parallel
import Tensors

/// How well each checkpoint of a sequence of fine-tunes does each task.
struct Matrix: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "Every task with every checkpoint of a sequence of fine-tunes, and what was forgotten.",
    discussion: """
      Tasks come in the order in which the model was trained on them; the first --after is the model after the first \
      task, and so on. Each is a checkpoint of the run file's model or a PEFT adapter.

        mmdist matrix -c run.yaml --task colours=colours.jsonl --task shapes=shapes.jsonl \\
          --after colours-run/adapter --after shapes-run/adapter --metric exact_match --output matrix.json

      forgetting: of each task but the last, its best score before the last training less its last score (Chaudhry et \
      al. 2018). backward_transfer: its last score less that right after its own training (Lopez-Paz & Ranzato 2017). \
      Scores are better when higher: of loss and perplexity they are the figure with a minus.
      """)

  @OptionGroup var runFile: RunFileOptions
  @Option(help: ArgumentHelp("A task and its records; once for each.", valueName: "NAME=FILE")) var task: [String]
  @Option(help: ArgumentHelp("The model after the task of the same place; once for each.", valueName: "DIR"))
  var after: [String]
  @Option(help: ArgumentHelp("Folder of the images of all tasks; default: each file's own.", valueName: "DIR"))
  var images: String?
  @Option(help: ArgumentHelp("What counts: \(MetricList.known.joined(separator: ", ")).", valueName: "METRIC"))
  var metric = "exact_match"
  @Option(help: ArgumentHelp("The most tokens of an answer.", valueName: "N")) var maxNewTokens = 64
  @Flag(help: "Leave out the model that the sequence starts from.") var noBase = false
  @Option(
    help: ArgumentHelp("A bound, as in \"forgetting<=0.05\"; exit code 65 when it is not kept.", valueName: "BOUND"))
  var require: [String] = []
  @Option(help: ArgumentHelp("Where the report goes.", valueName: "report.json")) var output: String

  func validate() throws {
    try checkNewTokens(maxNewTokens)
    do { _ = try MetricList([metric], at: "--metric") } catch let fault as Fault { throw ValidationError(fault.what) }
    guard task.count == after.count, !task.isEmpty else {
      throw ValidationError("\(task.count) --task and \(after.count) --after; give one --after for each --task")
    }
    for named in task {
      guard let sign = named.firstIndex(of: "="), sign > named.startIndex, named.index(after: sign) < named.endIndex
      else {
        throw ValidationError("--task \(named) is no NAME=FILE")
      }
    }
  }

  func run() throws {
    try withWorld { communicator in
      let configuration = try runFile.require()
      let requirements = try require.map(Requirement.init(parsing:))
      let tasks = try task.map { named in
        let parts = named.split(separator: "=", maxSplits: 1).map(String.init)
        let records = try openConversations(parts[1], images: images, at: "--task \(parts[0])", communicator)
        return (name: parts[0], records: records)
      }
      let models = try ((noBase ? [] : ["base"]) + after).map { try ChosenWeights($0, at: "--after") }
      if communicator.rank == 0 { try prepareReport(output) }
      let backend = try CPUBackend(threads: ThreadCount(communicator).threads)
      let options = AnswerSettings(metrics: [metric], maxNewTokens: maxNewTokens)
      var rows: [[Double]] = []
      for model in models {
        let (adapted, inputs, features) = try model.load(configuration, communicator, backend)
        let exam = ConversationExam(
          adapted: adapted, inputs: inputs, features: features, options: options, communicator: communicator,
          backend: backend)
        var row: [Double] = []
        for task in tasks {
          let figure = try exam.evaluate(task.records).measurements.first?.main() ?? .nan
          row.append(Measurement.isBetterWhenLess(metric) ? -figure : figure)
          say(communicator, "\(model.name) on \(task.name): \(metric) \(fixed(figure, 4))")
        }
        features?.store.finish()
        rows.append(row)
      }
      let matrix = TaskMatrix(
        tasks: tasks.map(\.name), scores: noBase ? rows : Array(rows.dropFirst()), base: noBase ? nil : rows[0])
      let table = self.table(tasks.map(\.name), models.map(\.name), rows)
      say(communicator, table)
      for (name, value) in matrix.figures where !value.isNaN { say(communicator, "\(name) \(fixed(value, 4))") }
      let report: JSON = [
        "metric": .string(metric), "tasks": .array(tasks.map { .string($0.name) }),
        "models": .array(models.map { .string($0.name) }),
        "scores": .array(rows.map { .array($0.map(JSON.number)) }),
        "forgetting": .object(
          OrderedDictionary(uniqueKeysWithValues: zip(tasks.map(\.name), matrix.forgetting.map(JSON.number)))),
        "metrics": .object(matrix.figures.mapValues(JSON.number)),
      ]
      if communicator.rank == 0 { try writeDurably(report.indented, to: output) }
      try Requirement.check(requirements, matrix.figures)
      return 0
    }
  }

  private func table(_ tasks: [String], _ models: [String], _ rows: [[Double]]) -> String {
    let width = (models.map(\.count).max() ?? 0) + 2
    func row(_ name: String, _ cells: [String]) -> String {
      name.padding(toLength: width, withPad: " ", startingAt: 0)
        + zip(tasks, cells).map { task, cell in
          String(repeating: " ", count: max(1, max(task.count, 8) + 2 - cell.count)) + cell
        }.joined()
    }
    return ([row("score after", tasks)] + zip(models, rows).map { row($0, $1.map { fixed($0, 4) }) })
      .joined(separator: "\n")
  }
}
