import ArgumentParser
import Evaluation
import Foundation
import Ground
import Inspection
import Metrics
import Report

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What changed between two evaluations of the same records, and whether it is more than chance.",
    discussion: """
      Takes two reports of mmdist eval on the same records, such as before and after a training, and pairs their samples: \
      a difference is second − first, with an interval of 95 % that draws the same samples of both, which is narrower \
      than two intervals side by side would let one think.

        mmdist eval -c run.yaml --metrics loss,exact_match --group-by sex --output before.json
        mmdist eval -c run.yaml --metrics loss,exact_match --group-by sex --adapter run/adapter --output after.json
        mmdist compare before.json after.json --output change.json --html change.html

      The reports' metrics are made again from their samples, so that differences of BLEU, CIDEr-D, macro-F1 and AUROC \
      have intervals too; groups are those of --group-by. It also says which samples went from right to wrong and back, \
      and how likely so uneven a count is by chance (the exact sign test, of right and wrong answers that of McNemar).

      In a pipeline, --require ends with exit code 65 when a bound is not kept: "exact_match>=0" wants a difference that \
      is no loss, "differences.exact_match.low>-0.02" rules out with 95 % that 0.02 were lost, and \
      "groups.sex.f.exact_match.difference>=-0.01" is of one group.
      """)

  @Argument(help: ArgumentHelp("The report to start from.", valueName: "A.json")) var first: String
  @Argument(help: ArgumentHelp("The report to compare with it.", valueName: "B.json")) var second: String
  @Option(help: ArgumentHelp("Where the comparison goes, as JSON.", valueName: "F.json")) var output: String?
  @Option(help: ArgumentHelp("Where a page goes: differences, groups and changed samples.", valueName: "F.html"))
  var html: String?
  @Option(
    help: ArgumentHelp(
      "A bound on a difference, as in \"exact_match>=0\"; exit code 65 when it is not kept; may be given several times.",
      valueName: "BOUND"))
  var require: [String] = []

  func run() throws {
    let requirements = try require.map(Requirement.init(parsing:))
    for target in [output, html].compactMap(\.self) { try requireWritable(target) }
    let reports = try [first, second].map { try MeasuredSamples(JSON(contentsOf: $0), at: $0) }
    let found = try ReportComparison(reports[0], reports[1])
    for line in found.lines { printLine(line) }
    let report = found.json(first: first, second: second)
    if let output { try writeDurably(report.indented, to: output) }
    if let html {
      try ComparisonPage(report: report, headline: found.sentence, isBetter: found.isBetter) {
        InspectionPage.picture(.file($0), side: 150)
      }.page.write(to: html)
      printLine("wrote \(html)")
    }
    try Requirement.check(requirements, report: report)
  }
}
