import Ground
import XCTest

@testable import Report

final class PagesTests: XCTestCase {
  private func line(_ step: Int, _ loss: String, _ more: String = "") throws -> JSON {
    try JSON(
      parsing: """
        {"step": \(step), "loss": \(loss), "losses": {"cross_entropy": \(loss)}, "tokens": 10, "images": 2, "grad_norm": 1.5,
         "grad_norms": {"language": 1.0, "projector": 0.5}, "learning_rates": {"language": 0.1}, "seconds": 2.0\(more)}
        """, at: "test")
  }

  func testARunThatLearnsIsDone() throws {
    let lines = try (1...100).map {
      try line($0, "\(4.0 / Double($0))", $0 % 50 == 0 ? ", \"evaluation\": {\"vqa\": 0.5, \"loss\": 1.0}" : "")
    }
    let page = TrainingPage(title: "Run", subtitle: "r", lines: lines, plannedSteps: 100, runFile: "a: <b>").page
    XCTAssertEqual(page.verdict?.level, .good)
    XCTAssertEqual(page.verdict?.figures.map(\.value), ["100 of 100", "0.04", "1,000", "200", "3 min"])
    for words in ["Held-out records: vqa", "Held-out records: loss", "a: &lt;b&gt;", "Gradient norm"] {
      XCTAssertTrue(page.html.contains(words), words)
    }
    let early = TrainingPage(title: "Run", subtitle: "r", lines: Array(lines.prefix(50)), plannedSteps: 100).page
    XCTAssertEqual(early.verdict?.level, .note)
  }

  func testARunThatFailsIsToldSo() throws {
    let flat = try (1...40).map { try line($0, "2.0") }
    XCTAssertEqual(TrainingPage(title: "", subtitle: "", lines: flat).page.verdict?.level, .warning)
    let broken = flat + [try line(41, "null"), try line(42, "2.0")]
    let page = TrainingPage(title: "", subtitle: "", lines: broken).page
    XCTAssertEqual(page.verdict?.level, .error)
    XCTAssertEqual(page.verdict?.headline, "The loss is not a number from step 41 on")
    XCTAssertEqual(TrainingPage(title: "", subtitle: "", lines: []).page.verdict?.headline, "No step yet")
    // Lines of something else make no page of figures, and no crash.
    let strange = TrainingPage(title: "", subtitle: "", lines: [[1, 2], "x", ["step": "a", "losses": 3]]).page
    XCTAssertEqual(strange.verdict?.level, .error)
    XCTAssertTrue(strange.html.contains("no figures"))
  }

  func testSamplesComeWorstFirst() throws {
    let report = try JSON(
      parsing: """
        {"metrics": {"vqa": 0.5, "loss": 1.25}, "intervals": {"vqa": {"value": 0.5, "low": 0.4, "high": 0.6}, "loss": {"value": 1.25, "low": 1, "high": 2}},
         "groups": {"skin": [{"value": "light", "count": 9, "metrics": {"vqa": 0.7}, "intervals": {"vqa": {"value": 0.7, "low": 0.5, "high": 0.9}}}]},
         "image_use": {"metric": "vqa", "right": {"vqa": 0.5}, "shuffled": {"vqa": 0.4}, "drop": 0.1,
          "drop_interval": {"value": 0.1, "low": 0.05, "high": 0.2}, "verdict": "used"},
         "samples": [{"index": 0, "nll": 2, "tokens": 2, "question": "a?", "prediction": "x", "references": ["y", "y"], "vqa": 1.0},
          {"index": 1, "nll": 9, "tokens": 3, "prediction": "<b>", "vqa": 0.0, "images": ["p.jpg"]},
          {"index": 2, "nll": 1, "tokens": 4, "prediction": "z", "vqa": 0.0}]}
        """, at: "test")
    let page = EvaluationPage(title: "E", subtitle: "s", report: report) { name in
      EmbeddedPicture([1], .jpeg, width: 1, height: 1, description: name)
    }.page
    XCTAssertEqual(page.verdict?.headline, "vqa 0.5 over 3 records, with 95 % between 0.4 and 0.6")
    XCTAssertEqual(page.verdict?.steps.count, 1)
    let html = page.html
    let places = try ["record 1", "record 2", "record 0"].map { try XCTUnwrap(html.range(of: ">\($0)<")?.lowerBound) }
    XCTAssertEqual(places, places.sorted())
    for words in [
      "&lt;b&gt;", "alt=\"p.jpg\"", "The pictures are used: with another picture", "vqa falls by 0.1", "Groups by skin",
      "0.7, n 9", "<dd>y</dd>",
      "loss, nats per token",
    ] {
      XCTAssertTrue(html.contains(words), words)
    }
    XCTAssertEqual(
      EvaluationPage(title: "E", subtitle: "", report: ["metrics": [:]]).page.verdict?.headline,
      "No record was evaluated")
  }

  /// Curves that lie on each other become one; stages are marked; what the pictures are worth is shown, and told.
  func testARunThatIgnoresPicturesIsToldSo() throws {
    let lines = try (1...40).map {
      try line(
        $0, "\(4.0 / Double($0))",
        ", \"stage\": \"\($0 < 20 ? "one" : "two<")\", \"learned\": {\"scale\": \($0)}"
          + ($0 % 10 == 0 ? ", \"image_use\": {\"right\": 1.0, \"shuffled\": 1.001, \"gain\": 0.001}" : ""))
    }
    let same = lines.map {
      $0.setting("learning_rates", to: ["language": 0.1, "projector": 0.1]).without(["tokens_per_second"])
    }
    let page = TrainingPage(title: "Run", subtitle: "r", lines: same, plannedSteps: 40).page
    XCTAssertEqual(page.verdict?.steps.count, 1)
    XCTAssertTrue(page.verdict?.steps[0].hasPrefix("the pictures are not used") == true)
    let html = page.html
    for words in [
      "Learning rate by part: language and projector alike", "two&lt;", "What the right picture is worth",
      "Learned: scale",
      "loss, nats per token",
    ] { XCTAssertTrue(html.contains(words), words) }
    XCTAssertFalse(html.contains("Tokens per second"), "a chart without a figure")
  }

  func testDriftAndSequencesHavePages() throws {
    let drift = try JSON(
      parsing: """
        {"part": "language", "data": ["a<.jsonl", "a<.jsonl"], "weights": ["base", "run"], "records": [5, 5],
         "metrics": {"frechet_distance": 2.5, "disagreement": 0.25}}
        """, at: "test")
    let first = DriftPage(subtitle: "d.json", report: drift).page
    XCTAssertEqual(first.verdict?.headline, "25.0 % of the questions are answered otherwise")
    XCTAssertTrue(first.html.contains("a&lt;.jsonl") && first.html.contains("their means and spreads"))
    let matrix = try JSON(
      parsing: """
        {"metric": "exact_match", "tasks": ["colours", "shapes"], "models": ["base", "a", "b"],
         "scores": [[0.1, 0.2], [0.9, 0.3], [0.6, null]], "forgetting": {"colours": 0.3},
         "metrics": {"average_accuracy": 0.75, "forgetting": 0.3}}
        """, at: "test")
    let second = MatrixPage(subtitle: "m.json", report: matrix).page
    XCTAssertEqual(
      second.verdict?.headline, "mean exact_match 0.75 after the last training, 0.3 of each earlier task forgotten")
    XCTAssertEqual(second.verdict?.level, .warning)
    XCTAssertTrue(second.html.contains("exact_match by training"))
    for odd in [["metrics": 1, "scores": [1], "tasks": ["a"], "models": ["x"]], [:], [1]] as [JSON] {
      XCTAssertFalse(MatrixPage(subtitle: "", report: odd).page.html.isEmpty)
      XCTAssertFalse(DriftPage(subtitle: "", report: odd).page.html.isEmpty)
      XCTAssertFalse(EvaluationPage(title: "", subtitle: "", report: odd).page.html.isEmpty)
    }
  }

  func testFairnessIsShownByGroup() throws {
    let report = try JSON(
      parsing: """
        {"metrics": {"accuracy": 0.5}, "labels": ["benign", "malignant"],
         "fairness": {"demographic_parity_difference": 0.2, "columns": {"sex": {"outcomes": {"malignant": {
           "demographic_parity_difference": {"value": 0.2, "low": 0.1, "high": 0.3},
           "groups": [{"value": "f<", "count": 1200, "positives": 4, "selection_rate": {"value": 0.4, "low": 0.2, "high": 0.6},
             "true_positive_rate": {"value": null, "low": null, "high": null}}], "incomplete_groups": ["f<"]}}}}},
         "samples": [{"index": 0, "loss": 0.1, "logits": [1, 0], "label": "benign", "prediction": "benign"},
          {"index": 1, "loss": 2.5, "logits": [1, 0], "label": "malignant", "prediction": "benign", "groups": {"sex": "f"}}]}
        """, at: "test")
    let page = EvaluationPage(title: "E", subtitle: "", report: report).page
    XCTAssertEqual(page.verdict?.steps, ["between groups the model says yes with a difference of up to 0.2"])
    let html = page.html
    for words in [
      "Fairness by sex", "says so, f&lt;", "0.1 … 0.3", "1,200", "holds of none or of all records of f&lt;",
      "Which labels are taken for which", "says malignant", "sex: f",
    ] { XCTAssertTrue(html.contains(words), words) }
    let places = try ["record 1", "record 0"].map { try XCTUnwrap(html.range(of: ">\($0)<")?.lowerBound) }
    XCTAssertEqual(places, places.sorted(), "wrong labels come first")
    XCTAssertFalse(html.contains("true positives, f"), "a rate that is not defined has no dot")
  }

  func testAComparisonShowsWhatChanged() throws {
    let report = try JSON(
      parsing: """
        {"first": "a<.json", "second": "b.json", "records": 40, "metrics": {"exact_match": 0.2},
         "differences": {"loss": {"first": 2, "second": 1.5, "difference": -0.5, "low": -0.6, "high": -0.4},
           "exact_match": {"first": 0.5, "second": 0.7, "difference": 0.2, "low": 0.05, "high": 0.35, "better": 10, "worse": 2,
             "same": 28, "sign_test": 0.0386}},
         "groups": {"sex": {"f": {"count": 30, "exact_match": {"first": 0.5, "second": 0.4, "difference": -0.1, "low": -0.2,
           "high": 0.1}}}},
         "changes": {"metric": "exact_match", "right_or_wrong": true, "worse": [{"index": 7, "question": "<q>", "references":
           ["a", "a"], "predictions": ["a", "b"], "scores": [1, 0], "images": ["p.jpg"], "groups": {"sex": "f"}}], "better": []}}
        """, at: "test")
    let page = ComparisonPage(report: report, headline: "The second is better") { name in
      EmbeddedPicture([1], .jpeg, width: 1, height: 1, description: name)
    }.page
    let html = page.html
    for words in [
      "first: a&lt;.json", "0.5 → 0.7", "+0.2", "+0.05 … +0.35", "Groups by sex", "-0.1, n 30",
      "From right to wrong (1)",
      "From wrong to right (0)", "&lt;q&gt;", "<dd>a</dd>", "1 → 0", "alt=\"p.jpg\"", "Change of loss",
    ] { XCTAssertTrue(html.contains(words), words) }
    let odd = ComparisonPage(report: ["differences": [1], "changes": ["worse": 3], "groups": ["x": 1]], headline: "")
      .page
    XCTAssertFalse(odd.html.isEmpty)
  }
}
