import Ground
import XCTest

@testable import Tokenizers

final class TextStreamTests: XCTestCase {
  /// What the stream hands out is, joined, what `decode` gives, and never half a character.
  func testStreamIsDecode() throws {
    for name in Fixture.names {
      let tokenizer = try Fixture.tokenizer(name)
      var state: UInt64 = 7
      for length in 0..<200 {
        let ids = (0..<length % 17).map { _ -> Int in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return Int(state >> 33) % (tokenizer.vocabularySize + 3)
        }
        for skips in [false, true] {
          var stream = TextStream(tokenizer, skipSpecialTokens: skips)
          let text = ids.map { stream.append($0) }.joined() + stream.finish()
          expectSameBytes(text, tokenizer.decode(ids, skipSpecialTokens: skips), "\(name) \(ids)")
        }
      }
    }
  }

  func testCharactersComeWhole() throws {
    let tokenizer = try Fixture.tokenizer("gpt2")
    let ids = Array("😀a".utf8).map { tokenizer.id(of: String(ByteAlphabet.scalars[Int($0)])) ?? -1 }
    var stream = TextStream(tokenizer)
    XCTAssertEqual(ids.map { stream.append($0) }, ["", "", "", "😀", "a"])
    XCTAssertEqual(stream.finish(), "")
  }

  func testBytesThatAreNoCharacter() throws {
    let gpt2 = try Fixture.tokenizer("gpt2")
    func ids(_ bytes: [UInt8]) -> [Int] { bytes.map { gpt2.id(of: String(ByteAlphabet.scalars[Int($0)])) ?? -1 } }
    XCTAssertEqual(gpt2.decode(ids([0xF0, 0x9F, 0x98])), "\u{FFFD}")
    XCTAssertEqual(gpt2.decode(ids([0xF0, 0x9F, 0x41, 0xFF, 0xC0, 0x80])), "\u{FFFD}A\u{FFFD}\u{FFFD}\u{FFFD}")
    var stream = TextStream(gpt2)
    XCTAssertEqual(ids([0xE4, 0xBA, 0x41]).map { stream.append($0) }, ["", "", "\u{FFFD}A"])
    // A second byte that cannot follow is known to be wrong at once.
    for pair: [UInt8] in [[0xE0, 0x80], [0xED, 0xA0], [0xF0, 0x8F], [0xF4, 0x90]] {
      XCTAssertEqual(ids(pair).map { stream.append($0) }, ["", "\u{FFFD}\u{FFFD}"])
    }
    XCTAssertEqual(stream.append(ids([0xC3])[0]), "")
    XCTAssertEqual(stream.finish(), "\u{FFFD}")
  }

  /// A run of byte tokens is text as a whole or not at all, so it is handed out when it ends.
  func testByteTokens() throws {
    let tokenizer = try Fixture.tokenizer("llama2")
    func byte(_ name: String) throws -> Int { try XCTUnwrap(tokenizer.id(of: name)) }
    let smile = try ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"].map(byte)
    let a = try byte("a")
    var stream = TextStream(tokenizer)
    XCTAssertEqual((smile + [a]).map { stream.append($0) }, ["", "", "", "", "😀a"])
    XCTAssertEqual(tokenizer.decode(smile.dropLast() + [a]), "\u{FFFD}\u{FFFD}\u{FFFD}a")
  }

  /// Llama 2 takes one space off the beginning of the text, and of nothing else.
  func testLeadingSpaceIsStrippedOnce() throws {
    let tokenizer = try Fixture.tokenizer("llama2")
    let space = try XCTUnwrap(tokenizer.id(of: "▁"))
    let a = try XCTUnwrap(tokenizer.id(of: "a"))
    var stream = TextStream(tokenizer)
    XCTAssertEqual([space, space, a, space].map { stream.append($0) }, ["", " ", "a", " "])
    XCTAssertEqual(tokenizer.decode([a, space, a]), "a a")
  }

  /// A decoder that has to see the end gives all its text at the end.
  func testDecoderThatLooksAtTheEnd() throws {
    let tokenizer = try Fixture.tokenizer(
      others: #""decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, "#
        + #"{"type": "Replace", "pattern": {"Regex": "ba"}, "content": "X"}, "#
        + #"{"type": "Strip", "content": "a", "start": 1, "stop": 1}]}"#)
    var stream = TextStream(tokenizer)
    XCTAssertEqual([0, 2, 0, 0].map { stream.append($0) }, ["", "", "", ""])
    XCTAssertEqual(stream.finish(), "aX")
    XCTAssertEqual(tokenizer.decode([0, 2, 0, 0]), "aX")
  }
}
