import Ground
import Media
import Tokenizers
import XCTest

@testable import Datasets

/// Samples of the goldens' records: token ids and labels as transformers has them (`Tests/Goldens/README.md`).
final class GoldenSampleTests: XCTestCase {
  private static let fixtures =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Goldens/Fixtures"

  func testCLIPAndLlama() throws { try compare("llava-clip-llama", records: 14) }
  func testSigLIPAndQwen2() throws { try compare("llava-siglip-qwen2", records: 14) }
  func testSeveralFeatureLayers() throws { try compare("llava-list", records: 14) }
  func testTextAlone() throws { try compare("gpt2", records: 6) }

  private func compare(_ name: String, records: Int) throws {
    let folder = "\(Self.fixtures)/\(name)"
    let golden = try JSON(contentsOf: folder + "/golden.json")
    let processor = try processor(folder + "/model")
    let file = try XCTUnwrap(golden["records_file"]?.string)
    let set = RecordSet([
      try RecordSource(path: "\(Self.fixtures)/\(file)", images: "\(Self.fixtures)/images")
    ])
    try set.validateAll()
    XCTAssertEqual(set.count, records)
    let expected = try XCTUnwrap(golden["records"]?.array)
    for index in 0..<set.count {
      let sample = try processor.sample(set.record(index))
      let batch = try Batch([sample])
      XCTAssertEqual(sample.ids.map(Int.init), integers(expected[index], "input_ids"), "\(name) \(index)")
      let labels = zip(sample.ids, sample.supervised).map { $1 ? Int($0) : -100 }
      XCTAssertEqual(labels, integers(expected[index], "labels"), "\(name) \(index)")
      XCTAssertEqual(batch.targetRows.map(Int.init), integers(expected[index], "nll_rows"), "\(name) \(index)")
      XCTAssertEqual(batch.supervised, expected[index]["tokens"]?.integer, "\(name) \(index)")
      XCTAssertEqual(sample.pixels.count, expected[index]["images"]?.array?.count, "\(name) \(index)")
    }
  }

  private func processor(_ model: String) throws -> Processor {
    let configuration = try JSON(contentsOf: model + "/config.json")
    var vision: Processor.Vision?
    if let token = (configuration["image_token_index"] ?? configuration["image_token_id"])?.integer {
      vision = .init(
        processor: try ImageProcessor(modelFolder: model), tokenID: token,
        tokensPerImage: try XCTUnwrap(configuration["image_seq_length"]?.integer))
    }
    return Processor(
      tokenizer: try Tokenizer(contentsOf: model + "/tokenizer.json"),
      template: try ChatTemplate(modelFolder: model), vision: vision, maxLength: 2048)
  }

  private func integers(_ record: JSON, _ key: String) -> [Int]? { record[key]?.array?.compactMap(\.integer) }
}
