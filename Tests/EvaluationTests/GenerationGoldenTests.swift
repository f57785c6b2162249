import Batching
import Datasets
import Evaluation
import Ground
import Models
import Modules
import Synchronization
import Tensors
import TestSupport
import XCTest

/// Greedy texts of tiny models against `generate` of transformers, many at a time.
final class GenerationGoldenTests: XCTestCase {
  private static let names = ["llava-clip-llama", "llava-siglip-qwen2", "llava-list", "gpt2"]

  /// A model and the prompts of a golden.
  private struct Case {
    let model: MultimodalModel
    let backend: CPUBackend
    let prompts: [Sample]
    let wanted: [JSON]
    let endTokens: Set<Int>
    let count: Int

    init(_ name: String, threads: Int = 2, products: ProductKernels? = nil) throws {
      let golden = try Golden(name)
      let json = try XCTUnwrap(JSON(contentsOf: Golden.fixtures + "/generation/golden.json")[name])
      backend = try products?.backend(threads: threads) ?? CPUBackend(threads: threads)
      let folder = try ModelFolder(golden.modelFolder)
      model = try folder.makeModel()
      try folder.loadWeights(into: model, backend: backend, isFresh: { _ in false })
      let processor = try ModelInputs(folder, model, maxLength: .max).processor
      wanted = try XCTUnwrap(json["texts"]?.array)
      prompts = try wanted.map { text in
        try processor.prompt(
          [Turn(.user, XCTUnwrap(text["prompt"]?.string))],
          images: (text["images"]?.array ?? []).map { .file(golden.imagesFolder + "/" + ($0.string ?? "")) })
      }
      endTokens = Set(json.integers("end_tokens"))
      count = try XCTUnwrap(json["new_tokens"]?.integer)
    }

    /// The texts of all prompts, `together` at most at a time.
    func texts(
      together: Int, cacheBytes: Int = 1 << 30, choices: (() -> any TokenChoices)? = nil
    ) throws -> [TextGenerator.Text] {
      var limits = TextGenerator.Limits()
      (limits.texts, limits.cacheBytes) = (together, cacheBytes)
      let generator = TextGenerator(model, endTokens: endTokens, limits: limits, backend)
      var (found, left): ([Int: TextGenerator.Text], [Sample]) = ([:], prompts.reversed())
      try generator.generate(from: { left.popLast() }, count: count, choices: choices) { number, text in
        XCTAssertNil(found.updateValue(text, forKey: number))
      }
      return try prompts.indices.map { try XCTUnwrap(found[$0]) }
    }
  }

  func testTextsAreThoseOfTransformersHoweverManyAreWrittenTogether() throws {
    for name in Self.names {
      let test = try Case(name)
      XCTAssertEqual(test.prompts.count, 5)
      for (prompt, text) in zip(test.prompts, test.wanted) {
        XCTAssertEqual(prompt.ids.map(Int.init), text.integers("input_ids"), name)
      }
      for together in [1, 2, 5] {
        let texts = try test.texts(together: together)
        XCTAssertEqual(texts.map(\.tokens), test.wanted.map { $0.integers("new_ids") }, "\(name), \(together) together")
        XCTAssertEqual(
          texts.map { $0.ending == .finished }, test.wanted.map { $0["ended"]?.bool }, "\(name), \(together) together")
      }
    }
  }

  /// The bits of all logits that texts were chosen by.
  private final class Seen: Sendable {
    let texts = Mutex<[[UInt32]]>([])

    struct Choices: TokenChoices {
      let seen: Seen
      let number: Int
      var isComplete: Bool { false }
      func restricted(_ logits: UnsafeBufferPointer<Float>, _ body: (UnsafeBufferPointer<Float>) -> Int) -> Int {
        seen.texts.withLock { $0[number] += logits.map(\.bitPattern) }
        return body(logits)
      }
      func accept(_ token: Int) {}
    }

    func begin() -> any TokenChoices {
      texts.withLock { texts in
        texts.append([])
        return Choices(seen: self, number: texts.count - 1)
      }
    }
  }

  private func bits(_ test: Case, together: Int, cacheBytes: Int = 1 << 30) throws -> [[UInt32]] {
    let seen = Seen()
    _ = try test.texts(together: together, cacheBytes: cacheBytes, choices: seen.begin)
    return seen.texts.withLock { $0 }
  }

  func testLogitsAreTheSameBitsInAnyBatchOnAnyNumberOfThreads() throws {
    for products in ProductKernels.tested {
      for name in ["llava-siglip-qwen2", "gpt2"] {
        let alone = try bits(Case(name, threads: 1, products: products), together: 1)
        XCTAssertGreaterThan(alone.map(\.count).min() ?? 0, 0)
        for threads in [1, 3] {
          let test = try Case(name, threads: threads, products: products)
          for together in [2, 5] { XCTAssertEqual(try bits(test, together: together), alone, "\(name), \(products)") }
          // With hardly any room for keys, texts wait for each other.
          XCTAssertEqual(try bits(test, together: 5, cacheBytes: 64 << 10), alone, "\(name), \(products)")
        }
      }
    }
  }

  func testATextThatMayNotGoOnIsCutOff() throws {
    let test = try Case("gpt2")
    let generator = TextGenerator(test.model, endTokens: [], test.backend)
    let longest = try XCTUnwrap(test.model.longestSequence)
    var left = [test.prompts[0]]
    try generator.generate(from: { left.popLast() }, count: 10 * longest) { _, text in
      XCTAssertEqual(text.ending, .cutOff)
      // The last token needs no position.
      XCTAssertEqual(text.tokens.count, longest - test.prompts[0].ids.count + 1)
    }
  }
}

/// How rows of the cache are given out.
final class KeyValueCacheTests: XCTestCase {
  func testRowsAreReservedWhereThereIsRoomAndUsedAgain() throws {
    let cache = KeyValueCache(mostRows: 10)
    let first = try XCTUnwrap(cache.reserve(4))
    let second = try XCTUnwrap(cache.reserve(4))
    XCTAssertNil(cache.reserve(3))
    let third = try XCTUnwrap(cache.reserve(2))
    cache.release(second)
    XCTAssertNil(cache.reserve(5))
    let again = try XCTUnwrap(cache.reserve(3))
    cache.begin([third, again, first])
    XCTAssertEqual(cache.isFresh, [true, true, true])
    XCTAssertEqual(cache.keys(adding: [2, 3, 1]), [8..<10, 4..<7, 0..<1])
    cache.finish()
    cache.begin([first, third])
    XCTAssertEqual(cache.isFresh, [false, false])
    XCTAssertEqual(cache.keys(adding: [1, 0]), [0..<2, 8..<10])
    cache.finish()
  }

  func testOneTextMayNeedMoreThanTheLimit() throws {
    let cache = KeyValueCache(mostRows: 10)
    let alone = try XCTUnwrap(cache.reserve(100))
    XCTAssertNil(cache.reserve(1))
    cache.release(alone)
    XCTAssertNotNil(cache.reserve(1))
  }
}
