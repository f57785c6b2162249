import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// `mmdist embed` against hidden states of transformers, and the same bytes on any number of ranks.
final class EmbedTests: ProgramTestCase {
  private struct Embeddings {
    let rows: [Float]
    let width: Int
    let offsets: [Int]
    let records: [Int]

    func item(_ number: Int) -> [Float] { Array(rows[offsets[number] * width..<offsets[number + 1] * width]) }
  }

  /// Both files of a run, which must agree.
  private func read(_ output: String) throws -> Embeddings {
    let file = try SafeTensorsFile(path("\(output)/embeddings.safetensors"))
    let rows: [Float] = try file.numbers("embeddings")
    let (offsets, records): ([Int64], [Int64]) = (try file.numbers("offsets"), try file.numbers("records"))
    func numpy(_ name: String, _ type: String, _ shape: [Int]) throws -> Data {
      let data = try bytes("\(output)/\(name).npy")
      XCTAssertEqual(Array(data.prefix(8)), [0x93] + Array("NUMPY".utf8) + [1, 0])
      let count = Int(data[8]) + Int(data[9]) << 8
      XCTAssertEqual((10 + count) % 64, 0)
      let header = String(decoding: data[10..<10 + count], as: UTF8.self)
      let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
      XCTAssertTrue(
        header.hasPrefix("{'descr': '\(type)', 'fortran_order': False, 'shape': (\(extents)), }"), header)
      XCTAssertTrue(header.hasSuffix("\n"))
      return data[(10 + count)...]
    }
    let shape = try file.shape("embeddings")
    XCTAssertEqual(Array(try numpy("embeddings", "<f4", shape)), Array(try file.bytes(of: "embeddings")))
    XCTAssertEqual(Array(try numpy("offsets", "<i8", [offsets.count])), Array(try file.bytes(of: "offsets")))
    XCTAssertEqual(Array(try numpy("records", "<i8", [records.count])), Array(try file.bytes(of: "records")))
    XCTAssertEqual(
      try FileManager.default.contentsOfDirectory(atPath: path(output)).sorted(),
      ["embeddings.npy", "embeddings.safetensors", "offsets.npy", "records.npy"])
    return Embeddings(rows: rows, width: shape[1], offsets: offsets.map(Int.init), records: records.map(Int.init))
  }

  @discardableResult
  private func embed(_ output: String, _ arguments: [String], ranks: Int? = nil) throws -> Embeddings {
    try succeed(["embed", "--output", output] + arguments, ranks: ranks)
    return try read(output)
  }

  private func mean(_ rows: [Float], _ width: Int) -> [Float] {
    let count = rows.count / width
    return (0..<width).map { column in (0..<count).reduce(Float(0)) { $0 + rows[$1 * width + column] } / Float(count) }
  }

  private func writeTexts(_ golden: LabelledGolden) throws {
    let rows = try String(contentsOfFile: golden.folder + "/texts.jsonl", encoding: .utf8).split(separator: "\n")
    let lines = try rows.map { row in
      let json = try JSON(parsing: String(row), at: "row")
      return (json["second"] == nil ? json.with("second", .null) : json).without("label").description + "\n"
    }
    try write("texts.jsonl", lines.joined())
  }

  func testEveryLayerAndPoolOfBERT() throws {
    let golden = try LabelledGolden("bert")
    try writeTexts(golden)
    let data = ["--model", golden.folder + "/model", "--data", "texts.jsonl", "--text-pair", "second"]
    let starts = golden.examples.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.ids.count) }
    for (layer, depth) in [("0", 0), ("1", 1), ("-1", 2)] {
      let wanted = try golden.tensors.floats("states.\(depth)")
      let all = try embed("none\(depth)", data + ["--layer", layer, "--pool", "none"])
      XCTAssertEqual(all.offsets, starts)
      XCTAssertEqual(all.records, Array(0..<24))
      XCTAssertLessThan(relativeDistance(all.rows, wanted), 1e-5, "layer \(layer)")
      for pool in ["mean", "cls"] {
        let pooled = try embed("\(pool)\(depth)", data + ["--layer", layer, "--pool", pool])
        XCTAssertEqual(pooled.offsets, Array(0...24))
        for number in 0..<24 {
          let own = Array(wanted[starts[number] * 24..<starts[number + 1] * 24])
          let reference = pool == "cls" ? Array(own.prefix(24)) : mean(own, 24)
          XCTAssertLessThan(relativeDistance(pooled.item(number), reference), 1e-5, "layer \(layer), \(pool)")
        }
      }
    }
    let metadata = try SafeTensorsFile(path("cls2/embeddings.safetensors")).metadata
    XCTAssertEqual(metadata, ["part": "language", "pool": "cls", "layer": "2", "format": "np"])
  }

  func testTheSameBytesOnAnyNumberOfRanks() throws {
    let golden = try LabelledGolden("bert")
    try writeTexts(golden)
    let data = ["--model", golden.folder + "/model", "--data", "texts.jsonl"]
    for pool in ["none", "mean"] {
      try embed("\(pool)1", data + ["--pool", pool])
      for ranks in [2, 5] {
        try embed("\(pool)\(ranks)", data + ["--pool", pool], ranks: ranks)
        for file in ["embeddings.safetensors", "embeddings.npy", "offsets.npy", "records.npy"] {
          XCTAssertEqual(try bytes("\(pool)1/\(file)"), try bytes("\(pool)\(ranks)/\(file)"), "\(ranks) ranks, \(file)")
        }
      }
    }
  }

  func testGPT2() throws {
    let golden = try LabelledGolden("gpt2-labels")
    let bert = try LabelledGolden("bert")
    let lines = try String(contentsOfFile: bert.folder + "/texts.jsonl", encoding: .utf8).split(separator: "\n")
    try write("texts.jsonl", lines.prefix(6).joined(separator: "\n"))
    let data = [
      "--model", try Golden("gpt2").modelFolder, "--data", "texts.jsonl", "--max-length", "30",
    ]
    let depth = golden.tensors.entries.keys.filter { $0.hasPrefix("states.") }.count - 1
    let all = try embed("all", data + ["--pool", "none"])
    XCTAssertLessThan(relativeDistance(all.rows, try golden.tensors.floats("states.\(depth)")), 1e-5)
    let last = try embed("last", data + ["--pool", "last"])
    for number in 0..<6 { XCTAssertEqual(last.item(number), Array(all.item(number).suffix(all.width))) }
    let first = try embed("first", data + ["--pool", "none", "--layer", "1"])
    XCTAssertLessThan(relativeDistance(first.rows, try golden.tensors.floats("states.1")), 1e-5)
  }

  func testPicturesProjectionsAndConversations() throws {
    let golden = try Golden("llava-clip-llama")
    let states = try SafeTensorsFile(Golden.fixtures + "/embeddings/llava-clip-llama.safetensors")
    let data = [
      "--model", golden.modelFolder, "--data", golden.recordsFile, "--images", golden.imagesFolder,
    ]
    let pictures = golden.records.enumerated().flatMap { index, record in record.images.map { _ in index } }

    let features = try embed("features", data + ["--part", "vision", "--pool", "none"], ranks: 2)
    XCTAssertEqual(features.records, pictures)
    XCTAssertLessThan(relativeDistance(features.item(0), try golden.floats("debug.0.features")), 1e-4)
    let projected = try embed("projected", data + ["--part", "projector", "--pool", "mean"])
    let wanted = mean(try golden.floats("debug.0.projected"), projected.width)
    XCTAssertLessThan(relativeDistance(projected.item(0), wanted), 1e-4)

    let depths = states.entries.keys.compactMap { $0.hasPrefix("vision.") ? Int($0.dropFirst(7)) : nil }.sorted()
    for depth in depths {
      let seen = try states.floats("vision.\(depth)")
      let layer = try embed("vision\(depth)", data + ["--part", "vision", "--layer", "\(depth)", "--pool", "none"])
      XCTAssertLessThan(relativeDistance(layer.item(0), seen), 1e-4, "vision, layer \(depth)")
      let cls = try embed("cls\(depth)", data + ["--part", "vision", "--layer", "\(depth)", "--pool", "cls"])
      XCTAssertEqual(cls.item(0), Array(layer.item(0).prefix(layer.width)))
    }
    let last = states.entries.keys.compactMap { $0.hasPrefix("language.00.") ? Int($0.dropFirst(12)) : nil }.max() ?? 0
    for depth in [0, 1, last] {
      let all = try embed("language\(depth)", data + ["--layer", "\(depth)", "--pool", "none"])
      XCTAssertEqual(all.records, Array(golden.records.indices))
      for record in [0, 6] {
        let reference = try states.floats("language.0\(record).\(depth)")
        XCTAssertLessThan(relativeDistance(all.item(record), reference), 1e-4, "record \(record), layer \(depth)")
      }
    }
  }

  func testWhatMakesNoSenseIsRefused() throws {
    let bert = try LabelledGolden("bert").folder + "/model"
    let (llava, siglip) = (try Golden("llava-clip-llama"), try Golden("llava-siglip-qwen2"))
    try write("texts.csv", "text\nhello\n\n\"\"\n")
    func refused(_ model: String, _ arguments: [String], _ kind: Fault.Kind = .usage, _ says: String...) throws {
      try assertRefused(["embed", "--model", model, "--output", "out"] + arguments, kind, says)
    }
    let texts = ["--data", "texts.csv"]
    try refused(bert, texts + ["--part", "vision"], .usage, "sees no pictures", "--part language")
    try refused(bert, texts + ["--pool", "last"], .usage, "--pool last of BERT", "--pool cls or mean")
    try refused(bert, texts + ["--layer", "3"], .usage, "there is no layer 3", "to 2, or from -3 to -1")
    try refused(bert, texts + ["--layer", "-4"], .usage, "there is no layer -4")
    try refused(bert, texts + ["--pool", "max"], .usage, "--pool max is not known")
    try refused(bert, texts + ["--text", "txt"], .badData, "no column 'txt'")
    let records = ["--data", llava.recordsFile, "--images", llava.imagesFolder]
    try refused(llava.modelFolder, records + ["--pool", "cls"], .usage, "--pool cls of a decoder", "--pool last")
    try refused(
      llava.modelFolder, records + ["--part", "projector", "--layer", "1"], .usage, "--layer of a projector")
    try refused(
      llava.modelFolder, records + ["--part", "vision", "--pool", "last"], .usage, "--pool last of a picture")
    try refused(llava.modelFolder, records + ["--part", "vision", "--pool", "cls"], .usage, "--layer -1 --pool cls")
    try refused(
      siglip.modelFolder, records + ["--part", "vision", "--pool", "cls"], .usage, "without a class token")
    try refused(llava.modelFolder, texts + ["--part", "vision"], .usage, "holds texts and no pictures")
    try refused(llava.modelFolder, records + ["--max-length", "3"], .badData, "train.jsonl:1")
    try refused(bert, ["--data", "none.csv"], .missingInput, "none.csv")
  }
}
