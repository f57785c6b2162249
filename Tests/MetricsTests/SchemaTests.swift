import Ground
import XCTest

@testable import Metrics

/// The form of reports, the patterns in it, and requirements on figures.
final class SchemaTests: XCTestCase {
  func testSchemasEqualTheReference() throws {
    let golden = try fixture("json_schema")
    let instances = try golden.list("instances").map { try JSON(parsing: XCTUnwrap($0.string), at: "") }
    for part in try golden.list("cases") {
      let source = try XCTUnwrap(part["schema"])
      let schema = try JSONSchema(source, at: "report.json")
      let expected = try part.numbers("right")
      for (instance, right) in zip(instances, expected) {
        XCTAssertEqual(schema.accepts(instance), right == 1, "\(instance) under \(source)")
      }
    }
  }

  private func refusal(_ schema: String) -> String? {
    fault { try JSONSchema(JSON(parsing: schema, at: ""), at: "report.json") }?.description
  }

  func testWhatIsNotSupportedIsRefusedByName() {
    XCTAssertEqual(
      refusal(#"{"type": "object", "properties": {"a": {"oneOf": []}}}"#),
      "the keyword 'oneOf' is not supported; did you mean 'anyOf'? (report.json #/properties/a): write the schema without it"
    )
    let refused: [(String, String)] = [
      (#"{"format": "date"}"#, "'format'"), (#"{"patternProperties": {}}"#, "'patternProperties'"),
      (#"{"items": [{}]}"#, "'items' as a list"), (#"{"$ref": "https://a.b/c"}"#, "https://a.b/c"),
      (##"{"$ref": "#/$defs/x"}"##, "which is not there"), (##"{"type": "text"}"##, "'text' is no type"),
      (#"{"type": 5}"#, "is no type"), (#"{"minLength": -1}"#, "no count"), (#"{"minimum": "a"}"#, "a number belongs"),
      (#"{"required": "a"}"#, "a list belongs"), (#"{"required": [1]}"#, "lists names"),
      (#"{"properties": []}"#, "an object belongs"), (#"{"properties": {"a": 3}}"#, "a schema is an object"),
      (#"{"pattern": "(?=a)"}"#, "look-around"), (#"{"pattern": 1}"#, "'pattern' is a number"),
      (##"{"$ref": "#"}"##, "in a circle"), (##"{"anyOf": [{"$ref": "#"}]}"##, "in a circle"),
      (
        ##"{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "items": {"$ref": "#/$defs/a"}}"##,
        "in a circle"
      ),
      ("[]", "a schema is an object"),
    ]
    for (schema, part) in refused {
      let found = refusal(schema)
      XCTAssert(found?.contains(part) == true, "\(schema): \(found ?? "accepted")")
    }
  }

  func testHostileValuesEnd() throws {
    // Both alternatives fail at the bottom: without a bound, two to the depth of the value.
    let schema = try JSONSchema(
      JSON(
        parsing:
          ##"{"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "additionalProperties": false}"##,
        at: ""), at: "")
    let deep = String(repeating: #"{"a":"#, count: 500) + "1" + String(repeating: "}", count: 500)
    let start = Date()
    XCTAssertEqual(try JSONSchemaMatch(schema).scores([answer(deep), answer("{}")]), [0, 1])
    XCTAssertLessThan(Date().timeIntervalSince(start), 10)
  }

  func testMatchOfReports() throws {
    let schema = try JSONSchema(["type": "object", "required": ["finding"]], at: "")
    let result = try JSONSchemaMatch(schema).evaluate([
      answer(#"{"finding": "naevus"}"#), answer("{}"), answer("finding: naevus"), answer(""),
    ])
    XCTAssertEqual(result.figures, ["json_schema": 0.25])
    XCTAssertEqual(result.perAnswer, [1, 0, 0, 0])
  }

  func testARecordsOwnSchemaComesFirst() throws {
    let own = Answer(prediction: "{}", references: [], schema: ["type": "string"])
    XCTAssertEqual(try JSONSchemaMatch(JSONSchema(["type": "object"], at: "")).scores([own, answer("{}")]), [0, 1])
    let none = fault { try JSONSchemaMatch(nil).scores([own, answer("{}")]) }
    XCTAssertEqual(none?.place, "answer 2")
    XCTAssertEqual(none?.kind, .badData)
    let broken = Answer(prediction: "{}", references: [], place: "v.jsonl:3", schema: ["type": "strng"])
    XCTAssertEqual(
      fault { try JSONSchemaMatch(nil).scores([broken]) }?.place?.hasPrefix("v.jsonl:3, json_schema"), true)
  }

  func testPatternsEqualPython() throws {
    let golden = try fixture("patterns")
    let texts = try golden.list("texts").map { try XCTUnwrap($0.string) }
    for part in try golden.list("cases") {
      let source = try XCTUnwrap(part["pattern"]?.string)
      let pattern = try Pattern(source)
      for (text, found) in zip(texts, try part.numbers("found")) {
        XCTAssertEqual(pattern.isFound(in: text), found == 1, "'\(source)' in '\(text)'")
      }
    }
  }

  func testPatternsThatAreRefused() {
    let refused: [(String, String)] = [
      ("(", "a group without an end"), (")", "without an opening"), ("[a", "a set without an end"),
      ("a**", "nothing before"),
      ("*", "nothing before"), ("(?=a)", "look-around"), ("(?<!a)", "look-around"), (#"(a)\1"#, "back reference"),
      (#"\bword\b"#, "word boundary"), (#"\"#, "an end after"), (#"\q"#, #"'\q'"#), ("[z-a]", "backwards"),
      ("a{3,2}", "none"),
      ("a{2000}", "more than 1000"), (#"\p{Greek}"#, "'Greek'"), (#"\u12"#, "no character"),
      (#"\uD800"#, "no character"),
      ("((a{1000}){1000}){1000}", "too large"), (String(repeating: "(", count: 1000), "in each other"),
    ]
    for (source, part) in refused {
      let found = fault { try Pattern(source) }
      XCTAssertEqual(found?.kind, .badConfiguration)
      XCTAssert(found?.what.contains(part) == true, "\(source): \(found?.description ?? "accepted")")
    }
  }

  /// Patterns on which engines that try one way after another take for ever.
  func testPatternsTakeTimeInProportionToTheText() throws {
    let text = String(repeating: "a", count: 20_000) + "!"
    let start = Date()
    for source in ["^(a+)+$", "^(a|aa)+$", "(a*)*b", "^(a?){30}a{30}$"] {
      XCTAssertFalse(try Pattern(source).isFound(in: text), source)
    }
    XCTAssertLessThan(Date().timeIntervalSince(start), 20)
  }

  /// Repetitions of nothing, which would be counted for days.
  func testNothingRepeatedIsNothing() throws {
    let nothing = (0..<6).reduce("") { nested, _ in "(\(nested)){1000}" }
    XCTAssertTrue(try Pattern("^a\(nothing)b$").isFound(in: "ab"))
    XCTAssertFalse(try Pattern("^a(b{0}){1000}c$").isFound(in: "abc"))
  }

  func testCategories() throws {
    XCTAssertTrue(try Pattern(#"^\p{Lu}\p{Ll}+\P{L}$"#).isFound(in: "Ärzte5"))
    XCTAssertFalse(try Pattern(#"^\p{L}$"#).isFound(in: "5"))
    XCTAssertTrue(try Pattern(#"^[^\d\s]+$"#).isFound(in: "a\u{E9}"))
  }

  // MARK: Requirements

  func testRequirements() throws {
    XCTAssertEqual(try Requirement(parsing: "vqa>=0.6"), Requirement(figure: "vqa", relation: .atLeast, bound: 0.6))
    XCTAssertEqual(
      try Requirement(parsing: " loss < 1e-2 "), Requirement(figure: "loss", relation: .below, bound: 0.01))
    XCTAssertEqual(try Requirement(parsing: "drop<=-1").description, "drop<=-1.0")
    for text in ["", "vqa", "vqa=0.6", ">=1", "vqa>=", "vqa>=x", "vqa>=nan", "vqa>=inf", "vqa>==1"] {
      XCTAssertEqual(fault { try Requirement(parsing: text) }?.kind, .usage, text)
    }
    XCTAssertTrue(Requirement(figure: "a", relation: .atLeast, bound: 1).isMet(by: 1))
    XCTAssertFalse(Requirement(figure: "a", relation: .above, bound: 1).isMet(by: 1))
    for relation in Requirement.Relation.allCases {
      XCTAssertFalse(Requirement(figure: "a", relation: relation, bound: 1).isMet(by: .nan), "NaN keeps no bound")
    }
  }

  func testRequirementsThatAreNotMetEndWithBadData() throws {
    let both = [try Requirement(parsing: "vqa>=0.6"), try Requirement(parsing: "loss<2")]
    XCTAssertNoThrow(try Requirement.check(both, ["vqa": 0.6, "loss": 1]))
    let one = fault { try Requirement.check(both, ["vqa": 0.5, "loss": 1]) }
    XCTAssertEqual(one?.kind, .badData)
    XCTAssertEqual(
      one?.description, "a requirement is not met (vqa>=0.6, found 0.5): look into the report, or ask for less")
    XCTAssertEqual(fault { try Requirement.check(both, ["vqa": .nan, "loss": 3]) }?.what, "2 requirements are not met")
    XCTAssertEqual(
      fault { try Requirement.check(both, ["vqa": 1, "los": 1]) }?.description,
      "no figure is called 'loss'; did you mean 'los'? (loss<2.0): use one of vqa, los")
  }
}
