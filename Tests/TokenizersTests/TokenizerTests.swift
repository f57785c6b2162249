import Foundation
import Ground
import XCTest

@testable import Tokenizers

final class TokenizerTests: XCTestCase {
  func testVocabulary() throws {
    let tokenizer = try Fixture.tokenizer("llama3")
    XCTAssertEqual(tokenizer.id(of: "!"), 0)
    XCTAssertEqual(tokenizer.token(of: 0), "!")
    let bos = try XCTUnwrap(tokenizer.id(of: "<|begin_of_text|>"))
    XCTAssertEqual(tokenizer.token(of: bos), "<|begin_of_text|>")
    XCTAssertEqual(tokenizer.addedTokens["<image>"], tokenizer.id(of: "<image>"))
    XCTAssertEqual(tokenizer.addedTokens.count, 6)
    XCTAssertEqual(tokenizer.specialTokens.count, 6)
    XCTAssertEqual(tokenizer.vocabularySize, (tokenizer.addedTokens.values.max() ?? 0) + 1)
    XCTAssertNil(tokenizer.id(of: "no such token"))
    XCTAssertNil(tokenizer.token(of: tokenizer.vocabularySize))
    XCTAssertNil(tokenizer.token(of: -1))
    let gpt2 = try Fixture.tokenizer("gpt2")
    XCTAssertEqual(gpt2.addedTokens.count, 2)
    XCTAssertEqual(Array(gpt2.specialTokens.keys), ["<|endoftext|>"])
  }

  func testVocabularySizeCountsGaps() throws {
    let tokenizer = try Fixture.tokenizer(vocab: #"{"a": 0, "b": 1, "ab": 40}"#)
    XCTAssertEqual(tokenizer.vocabularySize, 41)
    XCTAssertEqual(try tokenizer.encode("abba").ids, [40, 1, 0])
    XCTAssertNil(tokenizer.token(of: 20))
    XCTAssertEqual(tokenizer.decode([40, 20, 1_000_000, -5, 0]), "ab a")
  }

  func testBOSStandsOnce() throws {
    let llama = try Fixture.tokenizer("llama3")
    let bos = try XCTUnwrap(llama.id(of: "<|begin_of_text|>"))
    XCTAssertEqual(llama.leadingTokens, [bos])
    XCTAssertFalse(llama.beginsWithLeadingToken("the cat"))
    XCTAssertTrue(llama.beginsWithLeadingToken("<|begin_of_text|>the cat"))
    let once = try llama.encode(rendered: "the cat")
    XCTAssertEqual(try llama.encode(rendered: "<|begin_of_text|>the cat").ids, once.ids)
    XCTAssertEqual(once.ids.first, bos)
    XCTAssertEqual(once.offsets.first, 0..<0)
    XCTAssertEqual(try llama.encode("<|begin_of_text|>the cat").ids, [bos] + once.ids)
    // Without a post-processor that adds tokens nothing is in front.
    let qwen = try Fixture.tokenizer("qwen2")
    XCTAssertEqual(qwen.leadingTokens, [])
    XCTAssertFalse(qwen.beginsWithLeadingToken("<|im_start|>"))
    XCTAssertEqual(try qwen.encode(rendered: "the").ids, try qwen.encode("the").ids)
    // RoBERTa puts tokens around: a text that has the first one gets neither.
    let roberta = try Fixture.tokenizer("roberta")
    XCTAssertEqual(roberta.leadingTokens, [roberta.id(of: "<s>")])
    XCTAssertEqual(try roberta.encode(rendered: "<s>a").ids.last, roberta.id(of: "Ġa"))
  }

  /// Greek omega and the ohm sign are one text to Swift's `==`, two tokens to a tokenizer.
  func testTokensThatLookTheSame() throws {
    let tokenizer = try Fixture.tokenizer(
      vocab: #"{"\u03a9": 0, "\u2126": 1, "\u00e9": 2, "e\u0301": 3, "e": 4, "\u0301": 5}"#,
      merges: #"[["e", "\u0301"]]"#,
      others:
        #""added_tokens": [{"id": 6, "content": "\u212b", "special": true, "single_word": false, "lstrip": false, "#
        + #""rstrip": false, "normalized": false}, {"id": 7, "content": "\u00c5", "special": false, "single_word": false,"#
        + #" "lstrip": false, "rstrip": false, "normalized": false}]"#)
    XCTAssertEqual(try tokenizer.encode("\u{3A9}\u{2126}\u{E9}e\u{301}\u{212B}\u{C5}").ids, [0, 1, 2, 3, 6, 7])
    XCTAssertEqual(tokenizer.id(of: "\u{2126}"), 1)
    XCTAssertEqual(tokenizer.id(of: "\u{C5}"), 7)
    expectSameBytes(tokenizer.decode([7, 6], skipSpecialTokens: true), "\u{C5}", "only the special one is left out")
  }

  func testMergesInBothForms() throws {
    let vocab = #"{"a": 0, "b": 1, "ab": 2, " ": 3, "a ": 4, "a b": 5}"#
    XCTAssertEqual(try Fixture.tokenizer(vocab: vocab, merges: #"["a b"]"#).encode("ab a b").ids, [2, 3, 0, 3, 1])
    // Only pairs can have tokens with spaces.
    let pairs = try Fixture.tokenizer(vocab: vocab, merges: #"[["a", " "], ["a ", "b"], ["a", "b"]]"#)
    XCTAssertEqual(try pairs.encode("ab a b").ids, [2, 3, 5])
    let headed = try Fixture.tokenizer(vocab: vocab, merges: "[\"#version: 0.2\", \"a b\"]")
    XCTAssertEqual(try headed.encode("ab").ids, [2])
  }

  func testUnknownCharacters() throws {
    let vocab = #"{"<unk>": 0, "a": 1, "<0xC3>": 2, "<0xA9>": 3}"#
    func ids(_ model: String, _ text: String) throws -> [Int] {
      try Fixture.tokenizer(vocab: vocab, merges: "[]", model: model).encode(text).ids
    }
    XCTAssertEqual(try ids("", "axya"), [1, 1])
    XCTAssertEqual(try ids(#""unk_token": "<unk>""#, "axya"), [1, 0, 0, 1])
    XCTAssertEqual(try ids(#""unk_token": "<unk>", "fuse_unk": true"#, "axya"), [1, 0, 1])
    XCTAssertEqual(try ids(#""unk_token": "<unk>", "byte_fallback": true"#, "aéü"), [1, 2, 3, 0])
    let missing = try Fixture.tokenizer(vocab: #"{"a": 0}"#, merges: "[]", model: #""unk_token": "<unk>""#)
    XCTAssertEqual(try missing.encode("aa").ids, [0, 0])
    expectFault(.badData, "<unk>") { try missing.encode("ab") }
  }

  /// A million characters without a space: merging must not take quadratic time.
  func testLongWords() throws {
    let start = ContinuousClock.now
    let llama3 = try Fixture.tokenizer("llama3")
    let word = String(repeating: "the", count: 300_000)
    let encoding = try llama3.encode(word, addSpecialTokens: false)
    XCTAssertEqual(llama3.decode(encoding.ids), word)
    XCTAssertEqual(encoding.offsets.last?.upperBound, 900_000)
    let llama2 = try Fixture.tokenizer("llama2")
    let chinese = String(repeating: "人人生而自由", count: 50_000)
    XCTAssertEqual(llama2.decode(try llama2.encode(chinese, addSpecialTokens: false).ids), chinese)
    XCTAssertLessThan(ContinuousClock.now - start, .seconds(20))
  }

  /// The plain search and the heap join the same pairs.
  func testShortAndLongWordsAgree() throws {
    let tokenizer = try Fixture.tokenizer(
      vocab: #"{"a": 0, "b": 1, "aa": 2, "ab": 3, "aab": 4, "ba": 5, "aaaa": 6, "bab": 7}"#,
      merges: #"["b a", "a a", "a b", "a ab", "aa aa", "ba b"]"#)
    var state: UInt64 = 1
    for _ in 0..<200 {
      let letters = (0..<30).map { _ -> String in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 62 == 0 ? "b" : "a"
      }
      let short = letters.joined()
      // Foreign characters are dropped, and nothing joins across them: the same word three times is a long one.
      let alone = try tokenizer.encode(short).ids
      let bench = Workbench()
      var symbols = Array(short.utf8).map { WordToken(id: $0 == UInt8(ascii: "a") ? 0 : 1, length: 1) }
      symbols += symbols.map { WordToken(id: $0.id + 100, length: 1) }
      bench.symbols = symbols
      guard case .bytePairs(let model) = tokenizer.model else { return XCTFail("no byte pairs") }
      bench.merge(with: model.merges)
      XCTAssertEqual(bench.symbols.filter { $0.id < 100 }.map { Int($0.id) }, alone, short)
    }
  }

  func testOffsetsAreBytesOfTheText() throws {
    let tokenizer = try Fixture.tokenizer("qwen2")
    let text = "e\u{301}té 人 <|im_end|> 😀"
    let encoding = try tokenizer.encode(text)
    let bytes = Array(text.utf8)
    let index = try XCTUnwrap(encoding.ids.firstIndex(of: XCTUnwrap(tokenizer.id(of: "<|im_end|>"))))
    XCTAssertEqual(String(decoding: bytes[encoding.offsets[index]], as: UTF8.self), "<|im_end|>")
    XCTAssertEqual(encoding.offsets.last, bytes.count - 4..<bytes.count)
    XCTAssertEqual(encoding.ids.count, encoding.offsets.count)
  }
}
