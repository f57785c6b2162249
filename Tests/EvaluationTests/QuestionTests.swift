import Datasets
import Ground
import Metrics
import XCTest

@testable import Evaluation

/// Records as questions, and what is made of the answers.
final class QuestionTests: XCTestCase {
  private func record(_ turns: [Turn], images: [ImageLocation] = [], metadata: JSON = [:]) -> Record {
    Record(id: nil, turns: turns, images: images, place: "data.jsonl:3", index: 2, metadata: metadata)
  }

  func testTheLastAnswerIsAskedFor() throws {
    let long = record(
      [
        Turn(.system, "Be brief."), Turn(.user, "<image>\nWhat?"), Turn(.assistant, "A cat."),
        Turn(.user, "And <image>?"), Turn(.assistant, " A dog. "), Turn(.user, "<image> thanks"),
      ], images: ["a", "b", "c"])
    let question = try long.question()
    XCTAssertEqual(question.prompt, Array(long.turns.prefix(4)))
    XCTAssertEqual(question.images, ["a", "b"])
    XCTAssertEqual(question.references, ["A dog."])
    XCTAssertEqual(question.text, "And ?")
    let blind = long.withoutPictures()
    XCTAssertEqual(blind.images, [])
    XCTAssertEqual(blind.turns.map(\.text), ["Be brief.", "What?", "A cat.", "And ?", " A dog. ", " thanks"])
    XCTAssertThrowsError(try record([Turn(.user, "Hello")]).question()) {
      XCTAssertTrue("\($0)".contains("data.jsonl:3"), "\($0)")
    }
  }

  func testReferencesOfTheRecordComeFirst() throws {
    let turns = [Turn(.user, "What?"), Turn(.assistant, "cat")]
    func references(_ metadata: JSON) throws -> [String] {
      try record(turns, metadata: metadata).question().references
    }
    XCTAssertEqual(try references(["answers": ["cat", "a cat"]]), ["cat", "a cat"])
    XCTAssertEqual(try references(["references": [["answer": "dog", "id": 1]]]), ["dog"])
    XCTAssertEqual(try references(["answers": "bird"]), ["bird"])
    XCTAssertEqual(try references(["answers": nil]), ["cat"])
    for wrong: JSON in [["answers": []], ["answers": [1]], ["references": ["a": 1]]] {
      XCTAssertThrowsError(try references(wrong))
    }
  }

  func testNoRecordKeepsItsPictures() {
    let pictures: [[ImageLocation]] =
      (0..<50).map { ["\($0 % 40)"] } + [["x", "y"], ["y", "x"], [], ["alone", "of", "three"]]
    func shuffled(_ seed: UInt64) -> PictureShuffle {
      PictureShuffle(pictures.indices, seed: seed) { pictures[$0] }
    }
    let shuffle = shuffled(7)
    XCTAssertEqual(shuffle.exchanged, Set(0..<52))
    func other(_ own: [ImageLocation]) -> [ImageLocation]? { shuffle[own].map { pictures[$0] } }
    for own in pictures.prefix(52) {
      XCTAssertNotNil(other(own))
      XCTAssertNotEqual(other(own), own)
      XCTAssertEqual(other(own)?.count, own.count)
    }
    XCTAssertNil(shuffle[["alone", "of", "three"]])
    XCTAssertNil(shuffle[[]])
    // Each picture is shown in the place of exactly one other.
    XCTAssertEqual(Set((0..<40).compactMap { other(["\($0)"])?[0] }).count, 40)
    XCTAssertEqual(shuffle[["3"]], shuffled(7)[["3"]])
    XCTAssertNotEqual((0..<40).map { shuffle[["\($0)"]] }, (0..<40).map { shuffled(8)[["\($0)"]] })
  }

  func testPicturesInsideOfFilesAreExchangedByDigests() {
    func bytes(_ number: Int) -> [ImageLocation] {
      [.bytes(Data([UInt8(number % 5), 7]), name: "image \(number % 10)")]
    }
    let shuffle = PictureShuffle(0..<20, seed: 1, pictures: bytes)
    XCTAssertEqual(shuffle.exchanged, Set(0..<20))
    for number in 0..<20 {
      XCTAssertEqual(shuffle[bytes(number)], shuffle[bytes((number + 10) % 20)], "the same picture")
      XCTAssertNotEqual(shuffle[bytes(number)].map { bytes($0) }, bytes(number))
    }
    // Of one picture alone there is no other.
    XCTAssertEqual(PictureShuffle(0..<9, seed: 1) { _ in bytes(0) }.exchanged, [])
  }

  private let answers = (0..<40).map { Answer(prediction: $0 % 4 == 0 ? "no" : "yes", references: ["yes"]) }

  func testGroupsAddUp() throws {
    let measurement = try Measurement(ExactMatch(), answers)
    XCTAssertEqual(measurement.main(), 0.75)
    let values: [JSON?] = (0..<40).map { $0 < 8 ? "a" : $0 < 38 ? 2 : nil }
    let groups = Groups("sex", values, [measurement]).groups
    XCTAssertEqual(groups.map(\.value), ["2", "a", "(none)"])
    XCTAssertEqual(groups.map(\.count), [30, 8, 2])
    XCTAssertEqual(groups.map { $0.figures["exact_match"] }, [22.0 / 30, 6.0 / 8, 1])
    XCTAssertEqual(groups[1].intervals["exact_match"], .proportion(6, of: 8))
  }

  func testIntervalsOfLossesAreDrawn() {
    let losses = (0..<40).map { LossEvaluation.SampleLoss(index: $0, nll: $0 % 2 == 0 ? 1 : 3, tokens: 1) }
    let interval = Measurement.loss(losses).intervals()["loss"]
    XCTAssertEqual(interval?.value, 2)
    // 2 ± 1.96 · 1 / √40
    XCTAssertEqual(interval?.low ?? .nan, 1.69, accuracy: 0.05)
    XCTAssertEqual(interval?.high ?? .nan, 2.31, accuracy: 0.05)
  }

  func testTheAlarmWantsThreeLooksBehindTheFirstFifth() {
    func lines(_ gains: [Double], of steps: Int) -> [String?] {
      var alarm = ImageAlarm()
      return gains.enumerated().map {
        alarm.add(ImageProbe.Reading(right: 1, shuffled: 1 + $1), step: 10 * ($0 + 1), of: steps)
      }
    }
    let ignored = lines([0, 0.002, 0.009, 0, 0.5, 0, 0, 0.011, 0, 0, 0], of: 100)
    XCTAssertEqual(
      ignored.map { $0 != nil }, [false, false, true, false, true, false, false, false, false, false, true])
    XCTAssertTrue(ignored[2]?.hasPrefix("warning: step 30: the model ignores the pictures") == true, "\(ignored)")
    XCTAssertEqual(ignored[4], "step 50: the pictures are used again")
    // Early in a run pictures may be of no use yet.
    XCTAssertEqual(lines([0, 0, 0, 0], of: 200).compactMap(\.self), [])
    XCTAssertEqual(lines([0, 0, 0, 0, 0], of: 200).compactMap(\.self).count, 1)
  }

  func testMetricNames() throws {
    XCTAssertEqual(try MetricList(["loss", "exact_match", "loss"], at: "x").names, ["loss", "exact_match"])
    XCTAssertThrowsError(try MetricList(["exactmatch"], at: "--metrics")) {
      XCTAssertTrue("\($0)".contains("did you mean 'exact_match'?"), "\($0)")
    }
    XCTAssertEqual(try MetricList(["perplexity", "exact_match"], at: "x").figures, ["perplexity", "exact_match"])
  }
}
