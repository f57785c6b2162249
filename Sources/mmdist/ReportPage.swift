import ArgumentParser
import Datasets
import Foundation
import Ground
import Inspection
import Report
import RunFile

struct ReportPage: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Writes one page about a training run, an evaluation, drift or a sequence of tasks.",
    discussion: """
      Of a run's output folder: curves of loss, rates, gradient norms, speed and memory, and what was measured on held-out \
      records. Of the report.json of mmdist eval: figures with intervals, groups, fairness, the use of pictures, and \
      records, worst first. Of the reports of mmdist drift and mmdist matrix: what they found, with words to it. The page \
      is one file without scripts.
      """)

  @Argument(help: "A run's output folder, or the report of eval, drift or matrix.") var source: String
  @Option(
    help: ArgumentHelp(
      "Where the page goes; default: report.html in the folder, or beside the report.", valueName: "F.html"))
  var output: String?

  func run() throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: source, isDirectory: &isFolder) else {
      throw Fault(.missingInput, "no such file or folder", at: source, "name a run's output folder or a report.json")
    }
    let parent = isFolder.boolValue ? source : parentFolder(of: source)
    let target = output ?? (parent.isEmpty ? "report.html" : "\(parent)/report.html")
    try requireWritable(target)
    let page = try isFolder.boolValue ? trainingPage() : evaluationPage()
    try page.write(to: target)
    printLine("wrote \(target)")
  }

  private func trainingPage() throws -> Page {
    let metrics = "\(source)/metrics.jsonl"
    let text = String(decoding: try readFile(metrics), as: UTF8.self)
    var lines: [JSON] = []
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() where !line.isEmpty
    {
      // The last line of a run that goes on may be half written.
      guard let json = try? JSON(parsing: String(line), at: metrics) else {
        guard text.hasSuffix("\n") || number < text.count(where: { $0 == "\n" }) else { break }
        throw Fault(.badData, "not valid JSON", at: "\(metrics):\(number + 1)", "restore the file")
      }
      lines.append(json)
    }
    let runFile = "\(source)/run.yaml"
    let configuration = try? RunConfiguration(contentsOf: runFile)
    let yaml = (try? readFile(runFile)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let parts = (configuration?.runStages ?? []).flatMap { stage in
      stage.train.parts.all.map { part in
        TrainingPage.Part(
          part.name.rawValue, part.train.rawValue, note: stage.name.isEmpty ? "" : "stage \(stage.name)")
      }
    }
    return TrainingPage(
      title: "Training run", subtitle: source, lines: lines,
      plannedSteps: configuration?.runStages.reduce(0) { $0 + ($1.train.steps ?? 0) } ?? 0, parts: parts, runFile: yaml
    ).page
  }

  private func evaluationPage() throws -> Page {
    let report = try JSON(contentsOf: source)
    guard report["metrics"]?.object != nil else {
      throw Fault(
        .badData, "no 'metrics'", at: source,
        "name the report of mmdist eval, drift or matrix; check and compare write their pages by --html")
    }
    if report["scores"] != nil { return MatrixPage(subtitle: source, report: report).page }
    if report["weights"] != nil { return DriftPage(subtitle: source, report: report).page }
    return EvaluationPage(title: "Evaluation", subtitle: source, report: report) {
      InspectionPage.picture(.file($0), side: 150)
    }.page
  }
}
