import Foundation
import Ground
import XCTest

@testable import Tokenizers

/// Unigram models on small vocabularies and on files that cannot be right.
final class UnigramTests: XCTestCase {
  private func tokenizer(_ vocabulary: String, _ model: String = #""unk_id": 0"#, others: String = "") throws
    -> Tokenizer
  {
    try Fixture.tokenizer(
      json: """
        {"version": "1.0", \(others.isEmpty ? "" : others + ",")
         "model": {"type": "Unigram", \(model), "vocab": \(vocabulary)}}
        """)
  }

  private let letters =
    #"[["<unk>", 0], ["a", 0], ["b", 0], ["c", 0], ["d", 0], ["cd", 1], ["ab", 2], ["abc", 5], ["abcd", 10]]"#

  func testTheBestCut() throws {
    let tokenizer = try tokenizer(letters)
    let found = try tokenizer.encode("abcdacdxx")
    XCTAssertEqual(found.ids, [8, 1, 5, 0])
    XCTAssertEqual(found.offsets, [0..<4, 4..<5, 5..<7, 7..<9])
    // Of equal sums the one that is found first stays.
    XCTAssertEqual(try self.tokenizer(#"[["?", 0], ["a", 0], ["aa", 0]]"#).encode("aaa").ids, [1, 2])
  }

  /// Added tokens are numbered behind all that the file lists, of which one may stand there twice.
  func testATokenThatStandsTwice() throws {
    let tokenizer = try tokenizer(
      #"[["<unk>", 0], ["a", -1], ["b", -2], ["a", -3]]"#,
      others: #""added_tokens": [{"id": 4, "content": "<X>", "special": true, "single_word": false, "#
        + #""lstrip": false, "rstrip": false, "normalized": false}]"#)
    XCTAssertEqual(try tokenizer.encode("a<X>b").ids, [3, 4, 2])
    XCTAssertEqual(tokenizer.id(of: "<X>"), 4)
    XCTAssertEqual(tokenizer.vocabularySize, 5)
  }

  /// What a character without a token becomes: bytes if there are all, else the unknown token, else a fault.
  func testUnknownCharacters() throws {
    let bytes = #"[["<unk>", 0], ["a", -1], ["<0xC3>", -9], ["<0xA9>", -9]]"#
    let some = try tokenizer(bytes, #""unk_id": 0, "byte_fallback": true"#)
    let found = try some.encode("aéa")
    XCTAssertEqual(found.ids, [1, 2, 3, 1])
    XCTAssertEqual(found.offsets, [0..<1, 1..<3, 1..<3, 3..<4])
    XCTAssertEqual(try some.encode("aüéa").ids, [1, 0, 1])
    expectFault(.badData, "no token for") { try self.tokenizer(#"[["a", 0]]"#, #""unk_id": null"#).encode("b") }
  }

  /// As fast for one long word as for many short ones: no text makes it quadratic.
  func testALongWord() throws {
    let tokenizer = try tokenizer(letters)
    let word = String(repeating: "abcdx", count: 40_000)
    XCTAssertEqual(try tokenizer.encode(word).ids.count, 80_000)
  }

  func testVocabulariesThatCannotBe() throws {
    for (vocabulary, model, part) in [
      (#"{"a": 0}"#, #""unk_id": 0"#, "list"), (#"[["a"]]"#, #""unk_id": 0"#, "list of two"),
      (#"[["a", 1, 2]]"#, #""unk_id": 0"#, "list of two"), (#"["a"]"#, #""unk_id": 0"#, "list with its score"),
      (#"[["a", "b"]]"#, #""unk_id": 0"#, "not a number"), (#"[["a", nan]]"#, #""unk_id": 0"#, "not a number"),
      (#"[["a", 1e999]]"#, #""unk_id": 0"#, "not a number"), (#"[["a", 0]]"#, #""unk_id": 1"#, "unk_id"),
      (#"[["a", 0]]"#, #""unk_id": -1"#, "unk_id"), (#"[["a", 0]]"#, #""unk_id": "a""#, "unk_id"),
      (#"[]"#, #""unk_id": 0"#, "unk_id"),
    ] {
      expectFault(.badData, part) { try self.tokenizer(vocabulary, model) }
    }
    XCTAssertEqual(try tokenizer("[]", #""unk_id": null"#).encode("").ids, [])
  }

  /// Tables of characters that are cut short, point outside themselves, or are random: never a crash.
  func testHostileTables() throws {
    func table(_ bytes: [UInt8]) throws -> Tokenizer {
      let text = Data(bytes).base64EncodedString()
      return try tokenizer(
        letters, others: #""normalizer": {"type": "Precompiled", "precompiled_charsmap": "\#(text)"}"#)
    }
    for bytes in [
      [], [4], [4, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0], [8, 0, 0, 0, 1, 2, 3, 4], [255, 255, 255, 255, 0, 0, 0, 0],
    ]
      as [[UInt8]]
    {
      expectFault(.badData, "precompiled_charsmap") { try table(bytes) }
    }
    expectFault(.badData, "UTF-8") { try table([4, 0, 0, 0, 0, 0, 0, 0, 0xFF]) }
    expectFault(.badData, "base64") {
      try self.tokenizer(
        self.letters, others: #""normalizer": {"type": "Precompiled", "precompiled_charsmap": "%"}"#)
    }
    var state: UInt64 = 7
    for _ in 0..<300 {
      var bytes: [UInt8] = [64, 0, 0, 0]
      for _ in 0..<64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(UInt8(truncatingIfNeeded: state >> 56) & (state & 1 << 40 == 0 ? 0x0F : 0xFF))
      }
      let tokenizer = try table(bytes + Array("ab\0c\u{E9}\0".utf8))
      for text in ["abcd", "\u{1}\u{2}\u{3}", "e\u{301}😀\r\n", "\0"] { _ = try tokenizer.encode(text) }
    }
  }
}
