import Ground
import XCTest

@testable import Inspection

final class GroupsTests: XCTestCase {
  private func record(_ group: String, _ answer: String, synthetic: Bool = false) -> RecordFacts {
    var facts = RecordFacts()
    (facts.isRead, facts.groups, facts.isSynthetic, facts.tokens) = (true, [group, answer], synthetic, 10)
    facts.asked = [RecordFacts.Asked(words: [1], opening: [1], question: 1, answer: answer)]
    return facts
  }

  func testWilsonInterval() {
    // Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
    XCTAssertEqual(Rate(count: 81, all: 263).interval.lowerBound, 0.2553, accuracy: 1e-4)
    XCTAssertEqual(Rate(count: 81, all: 263).interval.upperBound, 0.3662, accuracy: 1e-4)
    XCTAssertEqual(Rate(count: 0, all: 20).interval.lowerBound, 0, accuracy: 1e-9)
    XCTAssertEqual(Rate(count: 0, all: 20).interval.upperBound, 0.1611, accuracy: 1e-4)
    XCTAssertEqual(Rate(count: 0, all: 0).interval, 0...1)
  }

  func testRatesAndDifferencesOfGroups() throws {
    let facts =
      (0..<80).map { record("light", $0 < 60 ? "benign" : "malignant") }
      + (0..<40).map { record("dark", $0 < 10 ? "benign" : "malignant", synthetic: $0 < 3) } + [record("", "benign")]
    let table = GroupTable("skin", at: 0, facts)
    XCTAssertEqual(table.groups.map(\.value), ["light", "dark", ""])
    XCTAssertEqual(table.groups.map(\.records), [80, 40, 1])
    XCTAssertEqual(table.groups.map(\.synthetic), [0, 3, 0])
    XCTAssertEqual(table.outcomes, ["benign", "malignant"])
    XCTAssertEqual(table.groups[1].rates.map(\.value), [0.25, 0.75])
    let parity = try XCTUnwrap(table.parity.first { $0.outcome == "benign" })
    XCTAssertEqual(parity.difference, 0.5)
    XCTAssertEqual([parity.lowest, parity.highest], ["dark", "light"])
    XCTAssertTrue(parity.isClear)
  }

  func testCombinationsWithoutRecords() throws {
    let strata = try XCTUnwrap(Strata("skin", "age", [("a", "x"), ("a", "y"), ("b", "x"), ("", "y"), ("b", "")]))
    XCTAssertEqual(strata.counts, [[1, 1], [1, 0]])
    XCTAssertEqual(strata.missing.map { "\($0.row)\($0.column)" }, ["by"])
    XCTAssertNil(Strata("skin", "age", [("a", "x"), ("b", "x")]))
    XCTAssertNil(Strata("id", "age", (0..<30).map { ("\($0)", $0 % 2 == 0 ? "x" : "y") }))
  }

  func testColumnsWithAFewValuesAreFound() throws {
    var survey = ColumnSurvey()
    for index in 0..<100 {
      survey.add(
        try JSON(
          parsing: """
            {"id": "r\(index)", "skin": "\(index % 3)", "patient": {"age": \(index % 4), "scans": [1]}, "list": [1, 2],
             "same": "x", "none": null}
            """, at: "test"))
    }
    XCTAssertEqual(survey.groups.map { "\($0.column) \($0.count)" }, ["patient.age 4", "skin 3"])
    var (left, right) = (ColumnSurvey(), ColumnSurvey())
    for index in 0..<30 {
      left.add(["a": .integer(index % 5), "b": .integer(index)])
      right.add(["a": .integer(index % 7), "c": .integer(index % 2)])
    }
    left.merge(ColumnSurvey(try JSON(parsing: right.json.description, at: "test")))
    XCTAssertEqual(left.groups.map { "\($0.column) \($0.count)" }, ["a 7", "c 2"])
  }

  func testErrorsAndWarningsAreToldApart() {
    XCTAssertEqual(Finding.Kind.allCases.filter { $0.severity == .error }.count, 11)
    XCTAssertEqual(Finding.Kind.badLabel.severity, .error)
    XCTAssertEqual(Finding.Kind.roleOrder.severity, .warning)
    for kind in Finding.Kind.allCases { XCTAssertFalse(kind.remedy.isEmpty, kind.rawValue) }
  }
}
