import XCTest

@testable import Datasets

final class ExpansionTests: XCTestCase {
  func testTagsAreRepeatedAndSpansMove() {
    let marked = MarkedText(text: "é<i>a<i><i>ü<i>", spans: [0..<2, 5..<6, 6..<9, 5..<14, 14..<17])
    let expanded = marked.replacing("<i>", with: "<i><i><i>")
    XCTAssertEqual(expanded.text, "é<i><i><i>a<i><i><i><i><i><i>ü<i><i><i>")
    let bytes = Array(expanded.text.utf8)
    let parts = expanded.spans.map { String(decoding: bytes[$0], as: UTF8.self) }
    XCTAssertEqual(parts, ["é", "a", "<i><i><i>", "a<i><i><i><i><i><i>ü", "<i><i><i>"])
    XCTAssertEqual(marked.replacing("<i>", with: "<i>"), marked)
    XCTAssertEqual(marked.replacing("<j>", with: "9"), marked)
    let shorter = marked.replacing("<i>", with: "")
    XCTAssertEqual(shorter.text, "éaü")
    XCTAssertEqual(shorter.spans, [0..<2, 2..<3, 3..<3, 2..<5, 5..<5])
  }

  func testOccurrences() {
    XCTAssertEqual(occurrences(of: "aa", in: "aaaaa"), [0..<2, 2..<4])
    XCTAssertEqual(occurrences(of: "<image>", in: "<image<image>\u{301}<image>"), [6..<13, 15..<22])
    XCTAssertEqual(occurrences(of: "<image>", in: "<image"), [])
    XCTAssertEqual(occurrences(of: "", in: "a"), [])
  }

  /// Token by token what transformers' `token_start < end and token_end > start` says.
  func testOverlap() {
    let tokens = [0..<0, 0..<3, 3..<5, 4..<4, 5..<5, 5..<8, 8..<8, 8..<9, 8..<12, 12..<13]
    XCTAssertEqual(
      overlapping(tokens, [3..<5, 9..<12]),
      [false, false, true, true, false, false, false, false, true, false])
    XCTAssertEqual(overlapping([0..<0], [0..<4]), [false], "a token that the post-processor adds")
    XCTAssertEqual(overlapping([0..<9], []), [false])
  }
}
