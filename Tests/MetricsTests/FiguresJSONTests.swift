import Ground
import XCTest

@testable import Metrics

/// Figures as they stand in reports.
final class FiguresJSONTests: XCTestCase {
  func testFiguresStandInReports() throws {
    let answers = [answer("a", "a"), answer("b", "a")]
    XCTAssertEqual(try ExactMatch().evaluate(answers).json.description, #"{"exact_match": 0.5}"#)
    XCTAssertEqual(try ExactMatch().evaluate([]).json.description, #"{"exact_match": null}"#)
    let drop = try ExactMatch().drop(inside: [answers[0]], outside: [answers[1]]).json
    XCTAssertEqual(drop["inside"]?["count"], 1)
    XCTAssertEqual(drop["drop"]?["exact_match"]?["value"], 1.0)
    XCTAssertEqual(drop["outside"]?["figures"]?["exact_match"]?["low"], 0.0)
    let comparison = try ExactMatch().compare([answers[1]], with: [answers[0]]).json
    XCTAssertEqual(
      comparison.description,
      #"{"difference": {"exact_match": {"value": 1.0, "low": 1.0, "high": 1.0}}, "better": 1, "worse": 0, "same": 0, "sign_test": 1.0}"#
    )
    let (truth, groups) = ([true, false], ["x", "y"])
    let fairness = Fairness(truth: truth, decisions: truth, groups: groups).json(
      Fairness.differences(truth: truth, decisions: truth, groups: groups))
    XCTAssertEqual(fairness["demographic_parity_difference"]?["value"], 1.0)
    XCTAssertEqual(fairness["demographic_parity_ratio"]?["value"], 0.0)
    XCTAssertEqual(fairness["incomplete_groups"], ["x", "y"])
    XCTAssertEqual(fairness["groups"]?.array?[1]["value"], "y")
    XCTAssertEqual(fairness["groups"]?.array?[1]["true_positive_rate"]?["value"]?.double?.isNaN, true)
    XCTAssertEqual(fairness["groups"]?.array?[0]["positives"], 1)
  }
}
