import Ground
import Metrics
import XCTest

@testable import Evaluation

/// Two reports of the same samples.
final class ReportComparisonTests: XCTestCase {
  /// Answers to 40 questions of two groups; `right` says which are right.
  private func report(_ right: (Int) -> Bool, loss: Double = 1, column: Bool = true) -> JSON {
    let samples = (0..<40).map { number -> JSON in
      var sample: JSON = [
        "index": .integer(number), "nll": .number(loss * Double(number % 3 + 1)), "tokens": .integer(number % 3 + 1),
        "question": .string("q\(number)"), "prediction": .string(right(number) ? "a" : "b"), "references": ["a"],
        "exact_match": .number(right(number) ? 1 : 0),
      ]
      if column { sample = sample.setting("groups", to: ["sex": .string(number < 30 ? "f" : "m")]) }
      return sample
    }
    return ["metrics": ["loss": 1, "exact_match": 0.5], "samples": .array(samples)]
  }

  private func compare(_ first: JSON, _ second: JSON) throws -> ReportComparison {
    try ReportComparison(MeasuredSamples(first, at: "a.json"), MeasuredSamples(second, at: "b.json"))
  }

  /// As `TextMetric.compare` of the same answers: 20 right, then 28; 2 lost and 10 won.
  func testAnswersArePaired() throws {
    let found = try compare(report { $0 < 20 }, report({ $0 < 18 || $0 >= 30 }, loss: 0.5))
    let figure = try XCTUnwrap(found.figures["exact_match"])
    XCTAssertEqual(figure.first, 0.5)
    XCTAssertEqual(figure.second, 0.7)
    XCTAssertEqual(figure.difference.value, 0.2, accuracy: 1e-12)
    XCTAssert(abs(figure.difference.low - 0.04) < 0.04 && abs(figure.difference.high - 0.36) < 0.04, "\(figure)")
    XCTAssertEqual(found.tallies["exact_match"], ReportComparison.Tally(better: 10, worse: 2, same: 28))
    XCTAssertEqual(found.tallies["exact_match"]?.signTest ?? 0, Comparison.signTest(10, 2))
    XCTAssertEqual(found.figures["loss"]?.difference, Interval(value: -0.5, low: -0.5, high: -0.5))
    XCTAssertEqual(found.tallies["loss"], ReportComparison.Tally(better: 40, worse: 0, same: 0))
    XCTAssertEqual(found.metric, "exact_match")
    XCTAssertTrue(found.isRightOrWrong)
    XCTAssertEqual(found.worse.map(\.number), [18, 19])
    XCTAssertEqual(found.better.map(\.number), Array(30..<40))
    XCTAssertTrue(found.sentence.hasPrefix("The second is better: exact_match goes from 0.500 to 0.700 (+0.200"))

    let women = try XCTUnwrap(found.groups["sex"]?["f"])
    XCTAssertEqual(women.count, 30)
    XCTAssertEqual(women.figures["exact_match"]?.difference.value ?? 0, -2.0 / 30, accuracy: 1e-12)
    XCTAssertEqual(found.groups["sex"]?["m"]?.figures["exact_match"]?.difference, Interval(value: 1, low: 1, high: 1))
    let json = found.json(first: "a", second: "b")
    XCTAssertEqual(json["metrics"]?["exact_match"]?.double ?? 0, 0.2, accuracy: 1e-12)
    XCTAssertEqual(json["changes"]?["worse"]?.array?[0]["predictions"], ["a", "b"])
    XCTAssertEqual(json["groups"]?["sex"]?["m"]?["exact_match"]?["low"], 1.0)
    XCTAssertTrue(found.lines.contains { $0.contains("2 of 40 samples went from right to wrong, 10 from wrong") })
  }

  func testWithoutADifferenceItSaysSo() throws {
    let same = try compare(report { $0 < 20 }, report { $0 < 20 })
    XCTAssertEqual(same.figures["exact_match"]?.difference, Interval(value: 0, low: 0, high: 0))
    XCTAssertTrue(same.sentence.hasPrefix("No difference beyond chance"), same.sentence)
    XCTAssertEqual(same.tallies["exact_match"]?.signTest, 1)
    XCTAssertTrue(same.worse.isEmpty && same.better.isEmpty)
  }

  /// Figures that are no mean of scores are made again for every draw.
  func testLabelsAreMeasuredAgain() throws {
    func report(_ shift: Double) -> JSON {
      let samples = (0..<30).map { number -> JSON in
        let score = Double(number * 7 % 30) / 10 - 1.5 + (number % 2 == 0 ? shift : 0)
        return [
          "index": .integer(number), "loss": 0.5, "logits": [0.0, .number(score)],
          "label": .string(number % 2 == 0 ? "yes" : "no"), "prediction": .string(score > 0 ? "yes" : "no"),
        ]
      }
      return ["metrics": ["loss": 0.5, "accuracy": 0.5], "labels": ["no", "yes"], "samples": .array(samples)]
    }
    let found = try compare(report(0), report(1))
    XCTAssertEqual(
      Array(found.figures.keys), ["loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "calibration_error"])
    let area = try XCTUnwrap(found.figures["auroc"])
    XCTAssertTrue(area.difference.low > 0 && area.second > area.first, "\(area)")
    XCTAssertEqual(found.metric, "accuracy")
    let right = { (report: JSON) in (report["samples"]?.array ?? []).count { $0["label"] == $0["prediction"] } }
    XCTAssertEqual(found.figures["accuracy"]?.first, Double(right(report(0))) / 30)
    XCTAssertEqual(found.figures["accuracy"]?.second, Double(right(report(1))) / 30)
  }

  func testPlacesAndNumbers() throws {
    func places(_ own: [Int], _ other: [[Int]]) -> JSON {
      let samples = zip(own, other).enumerated().map { number, pair -> JSON in
        [
          "index": .integer(number), "image_to_text": .integer(pair.0),
          "text_to_image": .array(pair.1.map(JSON.integer)),
        ]
      }
      return ["metrics": ["image_to_text_r1": 0], "samples": .array(samples)]
    }
    let found = try compare(places([1, 2, 7], [[1, 1], [3], [9]]), places([1, 1, 11], [[1, 2], [1], [9]]))
    XCTAssertEqual(found.figures["image_to_text_r1"]?.first, 1.0 / 3)
    XCTAssertEqual(found.figures["image_to_text_r1"]?.second, 2.0 / 3)
    XCTAssertEqual(found.figures["image_to_text_r10"]?.second, 2.0 / 3)
    XCTAssertEqual(found.figures["text_to_image_r1"]?.first, 0.5)
    XCTAssertEqual(found.figures["text_to_image_r1"]?.second, 0.5)
    func numbers(_ said: Double) -> JSON {
      [
        "metrics": ["mean_absolute_error": 1], "labels": ["age"],
        "samples": [["index": 0, "loss": 1, "logits": [.number(said)], "label": [3]]],
      ]
    }
    let error = try compare(numbers(5), numbers(4))
    XCTAssertEqual(error.figures["mean_absolute_error"]?.difference.value, -1)
    XCTAssertEqual(error.tallies["mean_absolute_error"]?.better, 1)
  }

  /// Reports of the same samples are compared by what both measure.
  func testOtherMetricsOfTheSameSamples() throws {
    let both = report { $0 < 20 }
    func leavingOut(_ keys: [String]) -> JSON {
      both.setting("samples", to: .array((both["samples"]?.array ?? []).map { $0.without(keys) }))
    }
    let losses = leavingOut(["question", "prediction", "references", "exact_match"])
    let answers = leavingOut(["nll", "tokens"])
    for (first, second) in [(both, losses), (losses, both)] {
      let found = try compare(first, second)
      XCTAssertEqual(Array(found.figures.keys), ["loss"])
      XCTAssertEqual(found.leftOut, ["exact_match"])
    }
    XCTAssertEqual(Array(try compare(answers, both).figures.keys), ["exact_match"])
    XCTAssertThrowsError(try compare(losses, answers)) {
      XCTAssertEqual(($0 as? Fault)?.what, "the reports share no metric: loss | exact_match")
    }
    let others = losses.setting(
      "samples", to: .array((losses["samples"]?.array ?? []).map { $0.setting("tokens", to: 9) }))
    XCTAssertThrowsError(try compare(losses, others)) {
      XCTAssertEqual(($0 as? Fault)?.what, "the reports' losses are of other tokens")
    }
  }

  func testOtherSamplesAreRefused() throws {
    let first = report { $0 < 20 }
    func refused(_ other: JSON, _ words: String, line: UInt = #line) {
      XCTAssertThrowsError(try compare(first, other), line: line) { error in
        XCTAssertEqual((error as? Fault)?.kind, .badData, line: line)
        XCTAssertTrue("\(error)".contains(words), "\(error)", line: line)
      }
    }
    let samples = first["samples"]?.array ?? []
    refused(first.setting("samples", to: .array(Array(samples.dropLast()))), "40 samples and 39")
    var changed = samples
    changed[3] = changed[3].setting("question", to: "another")
    refused(first.setting("samples", to: .array(changed)), "sample 4 has another 'question'")
    refused(["metrics": [:]], "no report of mmdist eval")
    refused([1], "no report of mmdist eval")
    changed = samples.map { $0.without(["nll", "exact_match"]) }
    refused(first.setting("samples", to: .array(changed)), "share no metric: loss, exact_match | none")
    changed = samples
    changed[5] = changed[5].without(["references"])
    refused(first.setting("samples", to: .array(changed)), "sample 6 has no 'references' like the first")
    XCTAssertThrowsError(try compare(["metrics": [:], "samples": []], ["metrics": [:], "samples": []]))
    // Losses of other tokens are not of the same things.
    changed = samples.map { $0.setting("tokens", to: 9) }
    let found = try compare(first, first.setting("samples", to: .array(changed)))
    XCTAssertEqual(Array(found.figures.keys), ["exact_match"])
    XCTAssertEqual(found.leftOut, ["loss"])
  }
}
