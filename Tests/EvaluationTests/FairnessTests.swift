import Ground
import Metrics
import XCTest

@testable import Evaluation

/// What counts as yes, and how fairness between groups is reported.
final class FairnessTests: XCTestCase {
  func testAnswersOfYesAndNoAreReadAsPOPEReadsThem() throws {
    let found = try Outcome.ofAnswers(
      predictions: ["Yes, it is.", "No.", "I do not think so", "a dog"],
      references: [["yes"], ["Yes"], ["no"], [" no "]],
      positive: [])
    XCTAssertEqual(
      found,
      [Outcome("yes", truth: [true, true, false, false], decisions: [true, false, false, true])])
    let no = try Outcome.ofAnswers(predictions: ["yes", "no"], references: [["yes"], ["yes"]], positive: ["No"])
    XCTAssertEqual(no, [Outcome("no", truth: [false, false], decisions: [false, true])])
  }

  func testOtherAnswersAreOneAgainstTheRest() throws {
    let predictions = ["Red.", "red", " dark  blue ", "green"]
    let references = [["red", "Red", "blue"], ["blue"], ["dark blue"], ["red"]]
    let found = try Outcome.ofAnswers(predictions: predictions, references: references, positive: [])
    XCTAssertEqual(found.map(\.name), ["blue", "dark blue", "red"])
    XCTAssertEqual(found[2], Outcome("red", truth: [true, false, false, true], decisions: [true, true, false, false]))
    XCTAssertEqual(found[1].decisions, [false, false, true, false])
    XCTAssertEqual(
      try Outcome.ofAnswers(predictions: predictions, references: references, positive: ["RED"]), [found[2]])
    XCTAssertThrowsError(
      try Outcome.ofAnswers(predictions: predictions, references: references, positive: ["bleu"])
    ) {
      XCTAssertEqual(
        "\($0)", "no record's answer is 'bleu'; did you mean 'blue'? (--positive): name an answer of the records")
    }
    // Free text has no outcomes but those that are named.
    let many = (0..<40).map { ["text \($0)"] }
    XCTAssertEqual(try Outcome.ofAnswers(predictions: many.map { $0[0] }, references: many, positive: []), [])
    XCTAssertEqual(try Outcome.ofAnswers(predictions: [], references: [], positive: []), [])
  }

  func testLabels() throws {
    let two = try Outcome.ofLabels(truth: [0, 1], predicted: [1, 1], names: ["benign", "malignant"], positive: [])
    XCTAssertEqual(two, [Outcome("malignant", truth: [false, true], decisions: [true, true])])
    let three = try Outcome.ofLabels(truth: [0, 2], predicted: [2, 2], names: ["a", "b", "c"], positive: [])
    XCTAssertEqual(three.map(\.name), ["a", "b", "c"])
    XCTAssertEqual(three[2].decisions, [true, true])
    XCTAssertThrowsError(
      try Outcome.ofLabels(truth: [0], predicted: [0], names: ["a", "b"], positive: ["x"]))
    let sets = try Outcome.ofLabelSets(
      truth: [[true, false], [true, true]], predicted: [[false, false], [true, true]], names: ["a", "b"],
      positive: ["b"])
    XCTAssertEqual(sets, [Outcome("b", truth: [false, true], decisions: [false, true])])
  }

  private func report(_ columns: [GroupFairness]) -> JSON { GroupFairness.json(columns) }

  /// Group f: 4 of 10 said, all that hold (4) found; group m: 6 of 10 said, of 4 that hold 2 found, 4 false alarms of 6.
  func testTheReportHoldsTheWorstAndEveryGroup() throws {
    let truth = (0..<20).map { $0 % 10 < 4 }
    let said = (0..<20).map { $0 < 10 ? $0 < 4 : [12, 13, 14, 15, 16, 17].contains($0) }
    let sex = (0..<20).map { JSON.string($0 < 10 ? "f" : "m") } + [.null]
    let outcome = Outcome("yes", truth: truth + [true], decisions: said + [false])
    let rare = Outcome(
      "rare", truth: [true] + Array(repeating: false, count: 20), decisions: [Bool](repeating: false, count: 21))
    let column = GroupFairness("sex", sex, [outcome, rare])
    XCTAssertEqual(column.leftOut, 1)
    let found = report([column])
    XCTAssertEqual(found["demographic_parity_difference"]?.double ?? .nan, 0.2, accuracy: 1e-12)
    XCTAssertEqual(found["demographic_parity_ratio"]?.double ?? .nan, 4.0 / 6, accuracy: 1e-12)
    XCTAssertEqual(found["equalized_odds_difference"]?.double ?? .nan, 4.0 / 6, accuracy: 1e-12)
    XCTAssertEqual(found["equal_opportunity_difference"]?.double ?? .nan, 0.5, accuracy: 1e-12)
    let yes = found["columns"]?["sex"]?["outcomes"]?["yes"]
    XCTAssertEqual(yes?["groups"]?.array?.map { $0["value"]?.string }, ["f", "m"])
    let men = yes?["groups"]?.array?[1]
    XCTAssertEqual(men?["count"], 10)
    XCTAssertEqual(men?["positives"], 4)
    XCTAssertEqual(men?["true_positive_rate"]?["value"], 0.5)
    let difference = yes?["demographic_parity_difference"]
    XCTAssertTrue((difference?["low"]?.double ?? 1) < 0.2 && (difference?["high"]?.double ?? 0) > 0.2)
    XCTAssertEqual(found["columns"]?["sex"]?["without_group"], 1)
    // What holds of nobody in a group makes no odds of the whole, but is shown with a word.
    XCTAssertEqual(found["columns"]?["sex"]?["outcomes"]?["rare"]?["incomplete_groups"], ["m"])
    XCTAssertTrue(
      GroupFairness("sex", sex, [rare]).lines.contains {
        $0.contains("'rare' holds of none or of all records of sex m")
      })
    XCTAssertTrue(column.lines[0].hasPrefix("says yes"), "the outcome that differs most")
    XCTAssertTrue(column.lines.contains { $0.hasPrefix("of 2 answers, each against all others") })
    XCTAssertTrue(column.lines.contains { $0.hasPrefix("demographic parity difference 0.200 [") })

    // The worst of several columns.
    let same = GroupFairness("age", (0..<21).map { .integer($0 % 2) }, [outcome])
    XCTAssertEqual(
      report([same, column])["demographic_parity_ratio"]?.double ?? .nan,
      min(4.0 / 6, same.worst["demographic_parity_ratio"] ?? .nan), accuracy: 1e-12)
  }

  func testOneGroupAndNoGroupsAreNoFault() {
    let outcome = Outcome("yes", truth: [true], decisions: [true])
    XCTAssertEqual(report([GroupFairness("c", ["x"], [outcome])])["demographic_parity_difference"], 0.0)
    let none = report([GroupFairness("c", [nil], [outcome])])
    XCTAssertEqual(none["demographic_parity_difference"]?.double?.isNaN, true)
    XCTAssertEqual(none["columns"]?["c"]?["without_group"], 1)
  }
}
