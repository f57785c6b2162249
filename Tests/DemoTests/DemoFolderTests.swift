import Foundation
import Ground
import Media
import RunFile
import XCTest

@testable import Demo

final class DemoFolderTests: XCTestCase {
  private var folder = ""

  override func setUp() {
    folder = NSTemporaryDirectory() + "demo-\(UUID().uuidString)"
  }

  override func tearDown() {
    try? FileManager.default.removeItem(atPath: folder)
  }

  func testTheWrittenFolderIsAValidRun() throws {
    for part in 0..<2 { try writeDemoFiles(to: folder, part: part, of: 2) }
    XCTAssertFalse(FileManager.default.fileExists(atPath: folder + "/mmdist.yaml"), "it comes when all have drawn")
    try writeDemoRunFile(to: folder)

    let run = try RunConfiguration(contentsOf: folder + "/mmdist.yaml")
    try run.validate()
    XCTAssertEqual(run.output, folder + "/run")
    XCTAssertEqual(run.train.parts.all.map(\.train), [.frozen, .full, .lora])
    let train = try XCTUnwrap(run.data.train.first)
    let validation = try XCTUnwrap(run.data.validation.first)
    XCTAssertEqual(try records(train.path).count, PictureSet.training.count)
    XCTAssertEqual(try records(validation.path).count, PictureSet.heldOut.count)

    var images: Set<String> = []
    for record in try records(train.path) + records(validation.path) {
      let image = try XCTUnwrap(record["image"]?.string)
      XCTAssertTrue(images.insert(image).inserted, "\(image) is used twice")
      XCTAssertTrue(FileManager.default.fileExists(atPath: "\(train.images)/\(image)"), image)
      let turns = try XCTUnwrap(record["conversations"]?.array)
      XCTAssertEqual(turns.compactMap { $0["from"]?.string }, turns.indices.map { $0 % 2 == 0 ? "human" : "gpt" })
      XCTAssertEqual(turns.filter { $0["value"]?.string?.contains("<image>") == true }.count, 1)
    }
    XCTAssertEqual(images, Set(try FileManager.default.contentsOfDirectory(atPath: folder + "/images")))
    for name in DemoModel.files {
      XCTAssertEqual(try readFile("\(folder)/model/\(name)"), try readFile("\(DemoModel.folder())/\(name)"), name)
    }
    for image in images.sorted().prefix(5) { _ = try Picture(contentsOf: "\(folder)/images/\(image)") }
  }

  func testTheExaminationIsWhatTheHeldOutFileHolds() throws {
    let set = PictureSet.heldOut
    let lines = set.records { [(set.question($0).text, set.question($0).answer)] }
    let written = try lines.split(separator: "\n").map { try JSON(parsing: String($0), at: "held-out.jsonl") }
    for (record, asked) in zip(written, Examination().questions) {
      XCTAssertEqual(record["image"]?.string, asked.image)
      XCTAssertEqual(record["conversations"]?.array?[0]["value"]?.string, "<image>" + asked.question.text)
      XCTAssertEqual(record["conversations"]?.array?[1]["value"]?.string, asked.question.answer)
    }
  }

  func testEveryAnswerIsOneTokenOfTheModel() throws {
    let tokenizer = try JSON(contentsOf: DemoModel.folder() + "/tokenizer.json")
    let vocabulary = try XCTUnwrap(tokenizer["model"]?["vocab"]?.object)
    let size = try JSON(contentsOf: DemoModel.folder() + "/config.json")["text_config"]?["vocab_size"]?.integer
    XCTAssertLessThanOrEqual(vocabulary.count, try XCTUnwrap(size))
    for option in Question.Family.allCases.flatMap(\.options) { XCTAssertNotNil(vocabulary[option], option) }
  }

  func testAFolderThatCannotBeMadeIsTold() throws {
    try makeFolder(folder)
    try writeDurably("in the way", to: folder + "/images")
    XCTAssertThrowsError(try writeDemo(to: folder)) { XCTAssertEqual(($0 as? Fault)?.kind, .cannotWrite) }
  }

  func testTheModelIsLookedForWhereAnInstallationPutsIt() throws {
    try makeFolder(folder + "/mmdist_Demo.resources")
    XCTAssertEqual(
      DemoModel.candidates(share: "/opt/share/mmdist", programFolder: folder),
      [
        "/opt/share/mmdist/demo/model", NSTemporaryDirectory() + "share/mmdist/demo/model",
        folder + "/mmdist_Demo.resources/model",
      ])
    XCTAssertEqual(
      DemoModel.candidates(share: nil, programFolder: "/usr/local/bin"), ["/usr/local/share/mmdist/demo/model"])
  }

  private func records(_ path: String) throws -> [JSON] {
    try String(decoding: readFile(path), as: UTF8.self).split(separator: "\n").map {
      try JSON(parsing: String($0), at: path)
    }
  }
}
