import Foundation
import Ground
import XCTest

@testable import Tokenizers

/// Ids, offsets and decoded text against those of Hugging Face `tokenizers` (Fixtures/make_tokenizers.py).
final class ReferenceTests: XCTestCase {
  private struct Case {
    var text: String
    var ids: [Int]
    var offsets: [Range<Int>]
    var plain: [Int]
    var decoded: String
    var skipped: String
    var random: [Int]?
    var randomDecoded: String?

    init(_ json: JSON) throws {
      func integers(_ key: String) -> [Int]? { json[key]?.array?.compactMap(\.integer) }
      text = try XCTUnwrap(json["text"]?.string)
      ids = try XCTUnwrap(integers("ids"))
      plain = try XCTUnwrap(integers("plain"))
      let flat = try XCTUnwrap(integers("offsets"))
      offsets = stride(from: 0, to: flat.count, by: 2).map { flat[$0]..<flat[$0 + 1] }
      decoded = try XCTUnwrap(json["decoded"]?.string)
      skipped = try XCTUnwrap(json["skipped"]?.string)
      random = integers("random")
      randomDecoded = json["random_decoded"]?.string
    }
  }

  func testEveryCaseOfEveryStyle() throws {
    for name in Fixture.names {
      try compare(name, try Fixture.tokenizer(name), Fixture.path("\(name).cases.json"))
    }
  }

  /// The tokenizers of a folder, for which `make_tokenizers.py try` wrote cases; skipped without `MMDIST_TOKENIZERS`.
  func testTokenizersOfAFolder() throws {
    guard let folder = ProcessInfo.processInfo.environment["MMDIST_TOKENIZERS"] else {
      throw XCTSkip("MMDIST_TOKENIZERS names no folder")
    }
    for file in try FileManager.default.contentsOfDirectory(atPath: folder) where file.hasSuffix(".cases.json") {
      let name = file.dropLast(".cases.json".count)
      try compare("\(name)", try Tokenizer(contentsOf: "\(folder)/\(name).json"), "\(folder)/\(file)")
    }
  }

  private func compare(_ name: String, _ tokenizer: Tokenizer, _ path: String) throws {
    let cases = try XCTUnwrap(JSON(contentsOf: path).array).map(Case.init)
    XCTAssertGreaterThan(cases.count, 150)
    for (index, expected) in cases.enumerated() {
      let label = "\(name) \(index) \(expected.text.debugDescription.prefix(80))"
      let encoding = try tokenizer.encode(expected.text)
      XCTAssertEqual(encoding.ids, expected.ids, label)
      XCTAssertEqual(encoding.offsets, expected.offsets, label)
      XCTAssertEqual(try tokenizer.encode(expected.text, addSpecialTokens: false).ids, expected.plain, label)
      expectSameBytes(tokenizer.decode(expected.ids), expected.decoded, label)
      expectSameBytes(tokenizer.decode(expected.ids, skipSpecialTokens: true), expected.skipped, label)
      if let random = expected.random, let decoded = expected.randomDecoded {
        expectSameBytes(tokenizer.decode(random), decoded, label)
      }
    }
  }

  /// Every text once more, now that all words are known, and joined to one text that is larger than any cache line.
  func testKnownWordsGiveTheSameTokens() throws {
    for name in Fixture.names {
      let tokenizer = try Fixture.tokenizer(name)
      let cases = try XCTUnwrap(JSON(contentsOf: Fixture.path("\(name).cases.json")).array).map(Case.init)
      for round in 0..<2 {
        for expected in cases {
          XCTAssertEqual(try tokenizer.encode(expected.text).ids, expected.ids, "\(name) \(round)")
        }
      }
    }
  }

  func testOneTokenizerInManyThreads() throws {
    let tokenizer = try Fixture.tokenizer("llama3")
    let cases = try XCTUnwrap(JSON(contentsOf: Fixture.path("llama3.cases.json")).array).map(Case.init)
    let texts = cases.map(\.text)
    let expected = cases.map(\.ids)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for (text, ids) in zip(texts, expected) { XCTAssertEqual(try? tokenizer.encode(text).ids, ids) }
    }
  }
}
