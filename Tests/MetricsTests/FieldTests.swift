import Ground
import XCTest

@testable import Metrics

/// Fields of structured reports.
final class FieldTests: XCTestCase {
  func testReportsOfTextsEqualDonut() throws {
    let cases = try fixture("json_fields").list("cases")
    XCTAssertEqual(cases.count, 12)
    for golden in cases {
      let answers = try zip(golden.list("predictions"), golden.list("references")).map {
        answer(try XCTUnwrap($0.string), try XCTUnwrap($1.string))
      }
      assertEqual(try JSONFields().evaluate(answers).figures["json_fields_f1"], try golden.number("f1"))
    }
  }

  /// Of four wanted fields three are right, and one too many is said.
  func testFieldsAreCounted() throws {
    let wanted = #"{"finding": "naevus", "size": 3, "sites": ["arm", {"side": "left"}]}"#
    let said = #"{"size": 3.0, "finding": "Naevus", "sites": [{"side": "left"}, "arm"], "more": null}"#
    let found = try JSONFields().evaluate([answer(said, wanted)])
    XCTAssertEqual(
      found.figures,
      [
        "json_fields_f1": 2 * 3 / 9.0, "json_fields_precision": 3 / 5.0, "json_fields_recall": 3 / 4.0,
        "json_fields_exact": 0,
      ])
    XCTAssertEqual(found.perAnswer, [2 * 3 / 9.0])
    let both = try JSONFields().evaluate([answer(said, wanted), answer("naevus", wanted), answer(wanted, "1", wanted)])
    XCTAssertEqual(both.perAnswer, [2 * 3 / 9.0, 0, 1])
    assertEqual(both.figures["json_fields_recall"], 7 / 12.0)
    assertEqual(both.figures["json_fields_exact"], 1 / 3.0)
  }

  func testWhatIsAField() throws {
    func f1(_ said: String, _ wanted: String) throws -> Double {
      try XCTUnwrap(JSONFields().evaluate([answer(said, wanted)]).perAnswer?.first)
    }
    XCTAssertEqual(try f1(#"{"a.b": 1}"#, #"{"a": {"b": 1}}"#), 0, "a name with a dot is another")
    XCTAssertEqual(try f1(#""1""#, "1"), 0, "a text is no number")
    XCTAssertEqual(try f1("1e0", "1"), 1)
    XCTAssertEqual(try f1("[1, 1]", "[1]"), 2 / 3.0, "as often as it stands there")
    XCTAssertEqual(try f1("{}", "[]"), 1, "no field wanted and none said")
    XCTAssertEqual(try f1("null", "{}"), 0)
    XCTAssertEqual(try f1("9007199254740993", "9007199254740992"), 0, "integers are exact")
    let deep = String(repeating: "[", count: 2000) + "1" + String(repeating: "]", count: 2000)
    XCTAssertEqual(try f1(deep, "1"), 1)
  }

  func testAReferenceThatIsNoJSONIsNamed() {
    let found = fault { try JSONFields().evaluate([answer("1", "1"), answer("1", "one")]) }
    XCTAssertEqual(found?.place, "answer 2")
    XCTAssertEqual(found?.kind, .badData)
  }

  func testEachFieldByItself() throws {
    let table = try JSONFields.byField([
      answer(#"{"a": 1, "b": [2, 3]}"#, #"{"a": 1, "b": [3]}"#), answer(#"{"a": 2}"#, #"{"a": 1}"#),
      answer("no", #"{"a": 1, "c": 0}"#),
    ])
    XCTAssertEqual(Array(table.keys), ["a", "b", "c"])
    XCTAssertEqual(table["a"].map { [$0.wanted, $0.said, $0.right] }, [3, 2, 1])
    XCTAssertEqual(table["b"].map { [$0.wanted, $0.said, $0.right] }, [1, 2, 1])
    XCTAssertEqual(table["c"].map { [$0.wanted, $0.said, $0.right] }, [1, 0, 0])
    XCTAssertEqual(try JSONFields.byField([answer("1", #"{"a": 1, "b": 1}"#)], most: 1).count, 1)
  }
}
