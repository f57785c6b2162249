import XCTest

@testable import Tokenizers

final class RegularExpressionTests: XCTestCase {
  private func matches(_ pattern: String, _ text: String) throws -> [String] {
    var found: [String] = []
    let expression = try RegularExpression(pattern, at: "here")
    let bytes = Array(text.utf8)
    try bytes.withUnsafeBufferPointer { buffer in
      try expression.forEachMatch(in: buffer) { found.append(String(decoding: bytes[$0], as: UTF8.self)) }
    }
    return found
  }

  /// Over all of Unicode these are the scalars that tokenizers 0.23 finds.
  func testPunctuation() throws {
    let all = (0...0x10FFFF).compactMap(Unicode.Scalar.init)
    var text = String.UnicodeScalarView()
    text.append(contentsOf: all)
    let found = try matches("[[:punct:]]", String(text)).flatMap(\.unicodeScalars)
    XCTAssertEqual(found.count, 9369)
    XCTAssertEqual(found.reduce(0) { $0 + Int($1.value) }, 649_005_466)
    XCTAssertEqual(try matches("[[:^punct:]]", String(text)).count, all.count - 9369)
  }

  func testPunctuationInOtherSets() throws {
    let text = "a<b>c=d. [e]^p:"
    for (pattern, wanted) in [
      ("[[:punct:]]+", ["<", ">", "=", ".", "[", "]^", ":"]),
      ("[^[:punct:]]+", ["a", "b", "c", "d", " ", "e", "p"]),
      ("[[:^punct:][:space:]]+", ["a", "b", "c", "d", " ", "e", "p"]),
      ("[[:punct:]&&[^<]]", [">", "=", ".", "[", "]", "^", ":"]),
      ("[][:punct:]a]", ["a", "<", ">", "=", ".", "[", "]", "^", ":"]),
      ("[^][:punct:]a]", ["b", "c", "d", " ", "e", "p"]),
      (#"[\[[:punct:]]"#, ["<", ">", "=", ".", "[", "]", "^", ":"]),
      (#"\[[[:alpha:]][^[:alpha:]]"#, ["[e]"]),
      // No bracket stands around it: a set of letters and a colon.
      ("[:punct:]", ["c", "p", ":"]),
      ("[[:alpha:]a][:punct:]", ["p:"]), ("[[:punct:]][:punct:]", [">c", "^p"]), (#"\[[:punct:]"#, []),
    ] {
      XCTAssertEqual(try matches(pattern, text), wanted, pattern)
    }
  }
}
