import Foundation
import Ground
import Media
import Tokenizers
import XCTest

@testable import Datasets

/// Pictures at every place of a conversation: ids and masks as transformers has them (`Tests/Goldens/make_placement.py`).
final class PlacementTests: XCTestCase {
  private static let fixtures =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Goldens/Fixtures"

  private func processor(_ model: String) throws -> Processor {
    let configuration = try JSON(contentsOf: model + "/config.json")
    let token = configuration["image_token_index"] ?? configuration["image_token_id"]
    let vision = Processor.Vision(
      processor: try ImageProcessor(modelFolder: model), tokenID: try XCTUnwrap(token?.integer),
      tokensPerImage: try XCTUnwrap(configuration["image_seq_length"]?.integer))
    return Processor(
      tokenizer: try Tokenizer(modelFolder: model), template: try ChatTemplate(modelFolder: model), vision: vision,
      maxLength: 2048)
  }

  /// Runs stand as [−count, id].
  private func unpacked(_ packed: [Int]) -> [Int] {
    var (ids, count) = ([Int](), 1)
    for number in packed {
      if number < 0 {
        count = -number
      } else {
        ids += [Int](repeating: number, count: count)
        count = 1
      }
    }
    return ids
  }

  private func runs(_ flags: [Bool]) -> [[Int]] {
    var runs: [[Int]] = []
    for (place, flag) in flags.enumerated() where flag {
      if let last = runs.last, last[1] == place {
        runs[runs.count - 1][1] += 1
      } else {
        runs.append([place, place + 1])
      }
    }
    return runs
  }

  func testSamplesEqualTransformers() throws {
    let golden = try JSON(contentsOf: Self.fixtures + "/placement.json")
    let records = try XCTUnwrap(golden["records"]?.array)
    XCTAssertEqual(records.count, 133)
    // Nearly all have several pictures, or one in a turn that is not the user's.
    XCTAssertEqual(records.reduce(0) { $0 + names($1).count }, 413)
    let folder = try TemporaryFolder()
    let path = try folder.write(records.map { $0.description + "\n" }.joined(), to: "places.jsonl")
    let source = try RecordSource(path: path, images: Self.fixtures + "/images")
    for name in ["llava-clip-llama", "llava-siglip-qwen2", "llava-list"] {
      let processor = try processor("\(Self.fixtures)/\(name)/model")
      let expected = try XCTUnwrap(golden[name]?.array)
      XCTAssertEqual(expected.count, records.count)
      for (number, wanted) in expected.enumerated() {
        let record = try source.record(number)
        let text = try processor.encode(record)
        let place = "\(name), \(records[number])"
        XCTAssertEqual(text.ids.map(Int.init), unpacked((wanted["ids"]?.array ?? []).compactMap(\.integer)), place)
        let spans = (wanted["supervised"]?.array ?? []).map { ($0.array ?? []).compactMap(\.integer) }
        XCTAssertEqual(runs(text.supervised), spans, place)
        // Pictures stand in the order in which their places do, wherever that is.
        XCTAssertEqual(record.images.map { ($0.name as NSString).lastPathComponent }, names(records[number]), place)
        XCTAssertEqual(
          text.imagePositions.count, record.images.count * (processor.vision?.tokensPerImage ?? 0), place)
      }
    }
  }

  private func names(_ record: JSON) -> [String] { (record["image"]?.array ?? []).compactMap(\.string) }

  /// Templates that take strings have the places too, and so have parts in place of tags.
  func testStringsAndPartsAreOneConversation() throws {
    let folder = try TemporaryFolder()
    let tags =
      #"{"images": ["a.png", "b.png", "c.png"], "messages": [{"role": "user", "content": "Is <image> or<image>?"}, {"role": "assistant", "content": "<image> it is"}]}"#
    let image = { (name: String) in #"{"type": "image", "path": "\#(name)"}"# }
    let text = { (text: String) in #"{"type": "text", "text": "\#(text)"}"# }
    let parts =
      #"{"messages": [{"role": "user", "content": [\#(text("Is ")), \#(image("a.png")), \#(text(" or")), \#(image("b.png")), \#(text("?"))]}, {"role": "assistant", "content": [\#(image("c.png")), \#(text(" it is"))]}]}"#
    let source = try RecordSource(path: folder.write(tags + "\n" + parts, to: "a.jsonl"))
    XCTAssertEqual(try source.record(0).turns, try source.record(1).turns)
    XCTAssertEqual(try source.record(0).images, try source.record(1).images)
    let vision = try Fixtures.vision()
    func encoded(_ template: String) throws -> EncodedText {
      try Processor(
        tokenizer: try Fixtures.tokenizer(), template: try ChatTemplate(source: template), vision: vision,
        maxLength: 100
      ).encode(source.record(0))
    }
    let strings = try encoded("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}")
    let lists = try encoded(
      "{% for m in messages %}<|{{ m.role }}|>{% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text }}{% endfor %}</s>{% endfor %}"
    )
    XCTAssertEqual(strings, lists)
    XCTAssertEqual(strings.imagePositions.count, 12)
    XCTAssertFalse(strings.imagePositions.contains { strings.supervised[$0] })
  }
}
