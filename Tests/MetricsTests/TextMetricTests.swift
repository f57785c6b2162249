import Foundation
import Ground
import XCTest

@testable import Metrics

/// What holds for every metric of texts.
final class TextMetricTests: XCTestCase {
  /// A metric that is written but not listed could not be asked for.
  func testEveryMetricIsListed() throws {
    let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Sources/Metrics")
    let names = try XCTUnwrap(FileManager.default.subpaths(atPath: sources.path)).filter { $0.hasSuffix(".swift") }
    var conformers: Set<String> = []
    for name in names {
      let text = try String(contentsOf: sources.appendingPathComponent(name), encoding: .utf8)
      for line in text.split(separator: "\n") where line.hasPrefix("public struct ") {
        guard line.contains(": TextMetric") || line.contains(": MeanMetric") else { continue }
        conformers.insert(String(line.dropFirst("public struct ".count).prefix { $0 != ":" }))
      }
    }
    let withSettings: Set = ["JSONSchemaMatch"]
    XCTAssertEqual(
      conformers.subtracting(withSettings), Set(textMetrics.values.map { String(describing: type(of: $0)) }))
    for (name, metric) in textMetrics { XCTAssertEqual(name, metric.name) }
  }

  func testOverNoAnswersFiguresAreNotDefined() throws {
    for metric in textMetrics.values {
      let result = try metric.evaluate([])
      XCTAssertFalse(result.figures.isEmpty, metric.name)
      for (figure, value) in result.figures { XCTAssertTrue(value.isNaN, "\(figure) is \(value)") }
      XCTAssertEqual(result.perAnswer, [])
    }
  }

  /// What a metric takes for right: some take yes or no alone, one wants JSON.
  private func reference(for metric: any TextMetric) -> String { metric.name == "json_fields" ? "1" : "no" }

  func testAnAnswerWithoutReferencesIsAFaultThatNamesItsPlace() {
    for metric in textMetrics.values where metric.name != "json_valid" {
      let ten = Array(repeating: reference(for: metric), count: 10)
      let known = Answer(prediction: "no", references: ten)
      let unplaced = fault { try metric.evaluate([known, Answer(prediction: "no", references: [])]) }
      XCTAssertEqual(unplaced?.place, "answer 2", metric.name)
      XCTAssertEqual(unplaced?.kind, .badData)
      let placed = fault { try metric.evaluate([Answer(prediction: "no", references: [], place: "val.jsonl:7")]) }
      XCTAssertEqual(placed?.place, "val.jsonl:7")
    }
  }

  func testFiguresHaveNamesOfTheirOwn() throws {
    let names = textMetrics.values.flatMap { $0.figures(Tally(repeating: 0, count: $0.width)).keys }
    XCTAssertEqual(names.count, Set(names).count)
    XCTAssertEqual(Set(textMetrics.keys).count, textMetrics.count)
  }

  /// No prediction may stop an evaluation: a model says anything.
  func testAnyPredictionHasAFigure() throws {
    let odd = [
      "", " ", "\n\n", "\0", "\u{FEFF}", "\u{1F468}\u{200D}\u{1F469}", "e\u{301}", "%", "nan", "inf", "-", ".", "\\",
      "\"", "{",
      String(repeating: "[", count: 100_000), String(repeating: "the ", count: 2000), "\u{85}\u{2028}",
    ]
    for metric in textMetrics.values {
      let result = try metric.evaluate(
        odd.map { Answer(prediction: $0, references: Array(repeating: reference(for: metric), count: 10)) })
      let scores = try XCTUnwrap(result.perAnswer)
      XCTAssertEqual(scores.count, odd.count)
      for score in scores { XCTAssertFalse(score.isNaN || score < 0, "\(metric.name): \(score)") }
    }
  }
}
