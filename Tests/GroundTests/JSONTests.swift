import Ground
import XCTest

/// Numbers of JSON texts.
final class JSONTests: XCTestCase {
  private func parsed(_ text: String) throws -> JSON { try JSON(parsing: text, at: "here") }

  func testAnIntegerBeyond64BitsLeavesTheOthersAsTheyAre() throws {
    let text = #"""
      {"default": 5, "maximum": 18446744073709551615, "zero": -0, "least": -9223372036854775808,
       "most":9223372036854775807, "below": -9223372036854775809 ,
       "real": 2.0, "exponent": 1e3, "far": 1E+30,
       "text": "99999999999999999999 \" 99999999999999999999", "99999999999999999999": "\\",
       "list": [100000000000000000000, 7,-100000000000000000000]}
      """#
    let wanted: JSON = [
      "default": 5, "maximum": 18_446_744_073_709_551_615.0, "zero": 0, "least": .integer(.min),
      "most": .integer(.max), "below": .number(-9_223_372_036_854_775_808), "real": 2.0, "exponent": 1000.0,
      "far": 1e30, "text": "99999999999999999999 \" 99999999999999999999", "99999999999999999999": "\\",
      "list": [1e20, 7, .number(-1e20)],
    ]
    XCTAssertEqual(try parsed(text), wanted)
    XCTAssertEqual(try parsed("18446744073709551616"), 18_446_744_073_709_551_616.0)
    XCTAssertEqual(try parsed("[1, 2]"), [1, 2])
  }

  func testFaultsBehindSuchAnIntegerAreWhereTheyAre() throws {
    func fault(_ number: String) -> String {
      do {
        return try "\(parsed("{\n\"a\": \(number), \"b\": }"))"
      } catch { return "\(error)" }
    }
    let wide = fault("99999999999999999999")
    XCTAssertEqual(wide, fault("999999999999999999.0"))
    XCTAssertTrue(wide.contains("line 2 column"), wide)
    for text in ["99999999999999999999x", "-99999999999999999999-", "099999999999999999999", "\"99999999999999999999"] {
      XCTAssertThrowsError(try parsed(text), text) { XCTAssertEqual(($0 as? Fault)?.kind, .badData, text) }
    }
    let endless = String(repeating: "9", count: 400)
    XCTAssertThrowsError(try parsed("[\(endless)]")) { XCTAssertEqual(($0 as? Fault)?.kind, .badData) }
  }
}
