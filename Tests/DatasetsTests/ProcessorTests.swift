import Foundation
import Ground
import Media
import Tokenizers
import XCTest

@testable import Datasets

/// The files under `Fixtures`.
enum Fixtures {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures"
  static func tokenizer() throws -> Tokenizer { try Tokenizer(contentsOf: folder + "/tokenizer.json") }
  static func vision(tokens: Int = 4) throws -> Processor.Vision {
    let id = try XCTUnwrap(tokenizer().id(of: "<image>"))
    return .init(processor: try ImageProcessor(modelFolder: folder), tokenID: id, tokensPerImage: tokens)
  }
}

/// What a processor refuses, with a rendering that is written out here.
final class ProcessorFaultTests: XCTestCase {
  /// `role: text` for every turn; what the assistant says is trained.
  private func processor(
    vision: Processor.Vision?, maxLength: Int = 1000, extra: String = ""
  ) throws -> Processor {
    Processor(tokenizer: try Fixtures.tokenizer(), vision: vision, maxLength: maxLength) { turns, _ in
      var marked = MarkedText(text: extra, spans: [])
      for turn in turns {
        if turn.role == .system { throw Fault(.badData, "no system turns here", "remove it") }
        marked.text += "\(turn.role.rawValue): "
        let start = marked.text.utf8.count
        marked.text += turn.text
        if turn.role == .assistant { marked.spans.append(start..<marked.text.utf8.count) }
      }
      return marked
    }
  }

  private func record(_ question: String, _ answer: String, images: [String] = []) -> Record {
    Record(
      id: nil, turns: [Turn(.user, question), Turn(.assistant, answer)],
      images: images.map { .file(Fixtures.folder + "/images/" + $0) }, place: "train.jsonl:3", index: 2)
  }

  private func fault(_ processor: Processor, _ record: Record, line: UInt = #line) throws -> Fault {
    let fault = try thrownFault(line: line) { _ = try processor.sample(record) }
    XCTAssertEqual(fault.place, "train.jsonl:3", line: line)
    return fault
  }

  func testNoSupervisedToken() throws {
    let processor = try processor(vision: nil)
    XCTAssertEqual(try fault(processor, record("a", "")).what, "no supervised token")
    let first = Processor(tokenizer: try Fixtures.tokenizer(), vision: nil, maxLength: 9) { _, _ in
      MarkedText(text: "<s>4", spans: [0..<3])
    }
    XCTAssertEqual(try fault(first, record("", "")).what, "no supervised token", "the first token has none before it")
  }

  func testPlaceholdersInAnAnswerAreNotSupervised() throws {
    let processor = try processor(vision: try Fixtures.vision())
    let sample = try processor.sample(record("Look", "<image> 4", images: ["wide.png"]))
    XCTAssertEqual(sample.imagePositions.count, 4)
    XCTAssertEqual(sample.imagePositions.map { sample.supervised[$0] }, [false, false, false, false])
    XCTAssertEqual(sample.supervised.suffix(2), [true, true])
    XCTAssertEqual(try fault(processor, record("Look", "<image>", images: ["wide.png"])).what, "no supervised token")
  }

  func testLongerThanTheLimit() throws {
    let answer = record("<image>", "4", images: ["wide.png"])
    let length = try processor(vision: try Fixtures.vision(tokens: 50)).encode(answer).ids.count
    let exact = try processor(vision: try Fixtures.vision(tokens: 50), maxLength: length)
    XCTAssertEqual(try exact.encode(answer).imagePositions.count, 50)
    let short = try processor(vision: try Fixtures.vision(tokens: 50), maxLength: length - 1)
    XCTAssertEqual(try fault(short, answer).what, "\(length) tokens > max_length \(length - 1)")
    let tiny = try processor(vision: try Fixtures.vision(tokens: 50), maxLength: 49)
    XCTAssertEqual(try fault(tiny, answer).what, "image tokens: 1 × 50 > max_length 49", "before the text grows")
    XCTAssertEqual(try thrownFault { try short.encode(answer) }.place, "train.jsonl:3", "seen without the picture")
    XCTAssertEqual(try fault(short, answer).remedy, "shorten the record or raise data.max_length")
    var whole = short
    whole.isLimitedByModel = true
    let refused = try fault(whole, answer)
    XCTAssertEqual(
      refused.what, "\(length) tokens > max_length \(length - 1), as many as the model has positions")
    XCTAssertEqual(refused.remedy, "shorten the record: the model reads no more")
  }

  func testPlaceholderThatIsNoPictures() throws {
    let processor = try processor(vision: try Fixtures.vision(), extra: "<image>")
    XCTAssertEqual(
      try fault(processor, record("a", "b")).what,
      "image placeholders '<image>': 1 in the rendered text, 0 expected")
    let silent = Processor(tokenizer: try Fixtures.tokenizer(), vision: try Fixtures.vision(), maxLength: 99) { _, _ in
      MarkedText(text: "4", spans: [0..<1])
    }
    XCTAssertEqual(
      try fault(silent, record("<image>", "b", images: ["wide.png"])).what,
      "image placeholders '<image>': 0 in the rendered text, 1 expected")
  }

  func testATokenizerThatDoesNotKnowThePlaceholder() throws {
    let vision = Processor.Vision(
      processor: try Fixtures.vision().processor, token: "<picture>", tokenID: 2, tokensPerImage: 4)
    let other = Processor(tokenizer: try Fixtures.tokenizer(), vision: vision, maxLength: 99) { _, _ in
      MarkedText(text: "<picture>4", spans: [9..<10])
    }
    let fault = try fault(other, record("<image>", "b", images: ["wide.png"]))
    XCTAssertEqual(fault.kind, .badConfiguration)
    XCTAssertEqual(fault.what, "0 tokens 2 from 4 placeholders '<picture>'")
  }

  func testAPictureForATextModel() throws {
    XCTAssertEqual(
      try fault(processor(vision: nil), record("<image>", "b", images: ["wide.png"])).what,
      "a picture for a model that takes none")
  }

  func testATemplateThatRefuses() throws {
    let talk = Record(
      id: nil, turns: [Turn(.system, "x"), Turn(.assistant, "y")], images: [], place: "train.jsonl:3", index: 2)
    XCTAssertEqual(try fault(processor(vision: nil), talk).what, "no system turns here")
  }

  func testBrokenPictures() throws {
    let processor = try processor(vision: try Fixtures.vision())
    let cut = try fault(processor, record("<image>", "b", images: ["cut.jpg"]))
    XCTAssertEqual(cut.kind, .badData)
    XCTAssert(cut.what.hasPrefix("\(Fixtures.folder)/images/cut.jpg: "), cut.what)
    let missing = try fault(processor, record("<image>", "b", images: ["none.jpg"]))
    XCTAssertEqual(missing.kind, .missingInput)
    XCTAssertEqual(missing.remedy, "check the path; records name pictures from the images folder")
    let text = try fault(processor, record("<image>", "b", images: ["../records.jsonl"]))
    XCTAssertEqual(text.kind, .badData)
  }

  /// It is refused by the early look, too, which reads no more than the beginning of its file.
  func testAPictureThatIsTooLongToBeMadeSquare() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      #"{"image_processor_type": "LlavaImageProcessor", "do_pad": true, "size": {"shortest_edge": 4}, "crop_size": 4}"#,
      to: "preprocessor_config.json")
    let vision = Processor.Vision(
      processor: try ImageProcessor(modelFolder: folder.path), tokenID: try Fixtures.vision().tokenID,
      tokensPerImage: 4)
    let processor = try processor(vision: vision)
    for (width, isTaken) in [(13_377, true), (13_378, false)] {
      let picture = Picture(width: width, height: 1, pixels: [UInt8](repeating: 9, count: 3 * width))
      let plain = try picture.encodedJPEG(quality: 90)
      // A comment that is longer than what is read at first.
      let note: [UInt8] = [0xFF, 0xFE, 0x20, 0x00] + [UInt8](repeating: 1, count: 0x1FFE)
      let noted = Array(plain[..<2]) + note + Array(plain[2...])
      for bytes in [try picture.encodedPNG(), plain, noted] {
        let record = Record(
          id: nil, turns: [Turn(.user, "<image>"), Turn(.assistant, "b")],
          images: [.bytes(Data(bytes), name: "long")], place: "train.jsonl:3", index: 2)
        if isTaken {
          XCTAssertNoThrow(try processor.check(record))
          continue
        }
        let early = try thrownFault { try processor.check(record) }
        XCTAssertEqual(
          early.description,
          "long: the picture of 13378 × 1 pixels is too large when it is made square, as do_pad says: at most 178956970 "
            + "pixels are taken (train.jsonl:3): scale the picture down, or cut it")
        XCTAssertEqual(try fault(processor, record), early)
      }
    }
  }
}
