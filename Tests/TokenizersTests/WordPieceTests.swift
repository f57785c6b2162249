import Foundation
import Ground
import TestSupport
import XCTest

@testable import Tokenizers

/// BERT's tokenizer: pairs, types and truncation against transformers, `vocab.txt`, and what goes wrong.
final class WordPieceTests: FolderTests {
  private func check(_ key: String, _ tokenizer: Tokenizer) throws {
    let cases = try XCTUnwrap(JSON(contentsOf: Fixture.path("bert.pairs.json"))[key]?.array)
    XCTAssertEqual(cases.count, 90)
    for (index, expected) in cases.enumerated() {
      let text = try XCTUnwrap(expected["text"]?.string)
      let encoding = try tokenizer.encode(
        text, pair: expected["pair"]?.string, maxLength: expected["max_length"]?.integer)
      XCTAssertEqual(encoding.ids, expected.integers("ids"), "\(key) \(index) \(text.debugDescription)")
      XCTAssertEqual(encoding.types, expected.integers("types"), "\(key) \(index)")
    }
  }

  func testPairsAndTruncation() throws { try check("file", try Fixture.tokenizer("bert")) }

  /// The same tokens from a list of them, one a line.
  func testAListOfTokens() throws {
    let bert = try Fixture.tokenizer("bert")
    let tokens = (0..<bert.vocabularySize).map { bert.token(of: $0) ?? "" }
    for (number, end) in ["\n", "\r\n"].enumerated() {
      try place(tokens.joined(separator: end) + (number == 0 ? end : ""), "\(number)/vocab.txt")
      try check("vocabulary", try Tokenizer(modelFolder: "\(folder)/\(number)"))
    }
  }

  func testSettingsOfAListOfTokens() throws {
    let tokenizer = try Tokenizer(modelFolder: Fixture.path("bert-cased"))
    try check("cased", tokenizer)
    XCTAssertEqual(tokenizer.specialTokens["<cls>"], 2)
  }

  func testTheFileComesBeforeTheList() throws {
    try place(String(contentsOfFile: Fixture.path("bert.tokenizer.json"), encoding: .utf8), "tokenizer.json")
    try place("[UNK]\n", "vocab.txt")
    try check("file", try Tokenizer(modelFolder: folder))
  }

  func testLongWordsAreCutAtTheLongestToken() throws {
    let tokenizer = try Fixture.tokenizer(
      json: """
        {"version": "1.0", "model": {"type": "WordPiece", "unk_token": "?", "max_input_chars_per_word": 1000,
         "continuing_subword_prefix": "@", "vocab": {"?": 0, "aé": 1, "@éa": 2, "@é": 3, "a": 4}}}
        """)
    XCTAssertEqual(try tokenizer.encode("aééaé").ids, [1, 2, 3])
    XCTAssertEqual(try tokenizer.encode("aééaé").offsets, [0..<3, 3..<6, 6..<8])
    XCTAssertEqual(try tokenizer.encode("aéb").ids, [0])
    let long = "aé" + String(repeating: "éa", count: 499)
    XCTAssertEqual(try tokenizer.encode(long).ids, [1] + [Int](repeating: 2, count: 499))
    XCTAssertEqual(try tokenizer.encode(long + "é").ids, [0], "1001 characters")
  }

  func testWhatIsWrong() throws {
    let noUnknown = try Fixture.tokenizer(
      json: #"{"version": "1.0", "model": {"type": "WordPiece", "unk_token": "?", "vocab": {"a": 0}}}"#)
    XCTAssertEqual(try noUnknown.encode("a").ids, [0])
    expectFault(.badData, "unknown words, '?'") { try noUnknown.encode("b") }
    expectFault(.badConfiguration, "max_input_chars_per_word") {
      try Fixture.tokenizer(
        json: #"{"model": {"type": "WordPiece", "max_input_chars_per_word": 100000, "vocab": {"a": 0}}}"#)
    }
    expectFault(.badData, "leaves no room") { try Fixture.tokenizer("bert").encode("a", pair: "b", maxLength: 3) }
    expectFault(.badConfiguration, "says nothing of pairs") {
      let single = #"{"single": [{"Sequence": {"id": "A"}}], "special_tokens": {}, "type": "TemplateProcessing"}"#
      return try Fixture.tokenizer(others: "\"post_processor\": \(single)").encode("a", pair: "b", maxLength: nil)
    }
    try place("[PAD]\n[UNK]\n[SEP]\n", "vocab.txt")
    expectFault(.badData, "no token '[CLS]'", "vocab.txt") { try Tokenizer(modelFolder: folder) }
    try place(#"{"cls_token": 3}"#, "tokenizer_config.json")
    expectFault(.badConfiguration, "'cls_token' must be a string", "tokenizer_config.json") {
      try Tokenizer(modelFolder: folder)
    }
    XCTAssertEqual(try fault { try Tokenizer(modelFolder: folder + "/none") }.kind, .missingInput)
  }

  func testTextsWithoutATemplateStandSideBySide() throws {
    let pair = try Fixture.tokenizer().encode("ab", pair: "b a", maxLength: nil)
    XCTAssertEqual(pair.ids, [2, 1, 3, 0])
    XCTAssertEqual(pair.types, [0, 1, 1, 1])
  }
}
