import Ground
import XCTest

@testable import Metrics

/// Figures of labels equal those of scikit-learn and torchmetrics.
final class LabelTests: XCTestCase {
  private func rows(_ json: JSON, _ key: String) throws -> [[Double]] {
    try json.list(key).map { try XCTUnwrap($0.array).map { $0.double ?? .nan } }
  }

  private func flags(_ json: JSON?) throws -> [Bool] { try XCTUnwrap(json?.array).map { try XCTUnwrap($0.bool) } }

  private func assertFigures<Figures: Sequence>(_ found: Figures, _ expected: JSON?) throws
  where Figures.Element == (key: String, value: Double) {
    let expected = try XCTUnwrap(expected)
    var count = 0
    for (name, value) in found {
      // torchmetrics takes probabilities of several labels in single precision.
      assertEqual(value, try expected.number(name), tolerance: name == "calibration_error" ? 1e-7 : 1e-12, name)
      count += 1
    }
    XCTAssertEqual(count, expected.object?.count)
  }

  func testOneOfSeveralLabels() throws {
    let cases = try fixture("labels").list("single")
    XCTAssertEqual(cases.count, 6)
    for golden in cases {
      let scores = LabelScores(
        truth: try golden.list("truth").compactMap(\.integer), probabilities: try rows(golden, "probabilities"),
        labels: try XCTUnwrap(golden["labels"]?.integer))
      try assertFigures(scores.figures, golden["figures"])
    }
  }

  func testSeveralLabelsAtOnce() throws {
    for golden in try fixture("labels").list("sets") {
      let truth = try golden.list("truth").map { try flags($0) }
      try assertFigures(
        LabelSetScores(truth: truth, probabilities: try rows(golden, "probabilities")).figures, golden["figures"])
    }
  }

  func testAreasWithAndWithoutTies() throws {
    for golden in try fixture("labels").list("areas") {
      assertEqual(
        auroc(scores: try golden.numbers("scores"), isPositive: try flags(golden["positive"])),
        try golden.number("auroc"))
    }
    XCTAssertEqual(auroc(scores: [1, 1, 1], isPositive: [true, false, false]), 0.5)
    XCTAssertEqual(auroc(scores: [.infinity, -.infinity], isPositive: [true, false]), 1)
    XCTAssert(auroc(scores: [1, .nan], isPositive: [true, false]).isNaN)
    XCTAssert(auroc(scores: [1, 2], isPositive: [true, true]).isNaN)
    XCTAssert(auroc(scores: [], isPositive: []).isNaN)
  }

  /// A draw of a set has the area that its samples have alone, whether it is a small or a large one.
  func testAreasOfDraws() {
    let scores = (0..<900).map { Double($0 * 7919 % 431) }
    let holds = (0..<900).map { $0 * 31 % 97 < 40 }
    let ranked = RankedScores(scores, isPositive: holds)
    for count in [2, 3, 10, 25, 26, 27, 200, 900] {
      let draw = (0..<count).map { $0 * $0 * 13 % 900 }
      assertEqual(
        ranked.area(of: draw), auroc(scores: draw.map { scores[$0] }, isPositive: draw.map { holds[$0] }))
    }
    for sample in [0, 5] { XCTAssert(ranked.area(of: [sample]).isNaN) }
  }

  func testCalibration() throws {
    for golden in try fixture("labels").list("calibration") {
      assertEqual(
        calibrationError(
          confidences: try golden.numbers("confidences"), isRight: try flags(golden["right"]),
          bins: try XCTUnwrap(golden["bins"]?.integer)),
        try golden.number("error"))
    }
    XCTAssertEqual(calibrationError(confidences: [1, 1], isRight: [true, true]), 0)
    XCTAssertEqual(calibrationError(confidences: [0, 0.25], isRight: [true, false]), 0.625)
    XCTAssert(calibrationError(confidences: [], isRight: []).isNaN)
    XCTAssert(calibrationError(confidences: [1.5], isRight: [true]).isNaN)
    XCTAssert(calibrationError(confidences: [.nan], isRight: [true]).isNaN)
  }

  func testOverNothingFiguresAreNotDefined() {
    for figure in LabelScores(truth: [], probabilities: [], labels: 3).figures.values { XCTAssert(figure.isNaN) }
    for figure in LabelSetScores(truth: [], probabilities: []).figures.values { XCTAssert(figure.isNaN) }
  }

  func testOfEquallyProbableLabelsTheFirstIsSaid() {
    XCTAssertEqual(LabelScores(truth: [0], probabilities: [[0.4, 0.4, 0.2]], labels: 3).predicted, [0])
  }

  func testRetrievalEqualsCLIPBenchmark() throws {
    for golden in try fixture("retrieval").list("sets") {
      let retrieval = Retrieval(
        similarity: try golden.numbers("similarity").map(Float.init),
        pictures: try XCTUnwrap(golden["pictures"]?.integer),
        pictureOfText: try golden.list("owner").compactMap(\.integer))
      try assertFigures(retrieval.figures, golden["figures"])
    }
  }

  func testRetrievalThatTellsNothingApartFindsNothing() {
    for score in [Float(0.5), .nan] {
      let flat = Retrieval(
        similarity: Array(repeating: score, count: 20 * 20), pictures: 20, pictureOfText: Array(0..<20))
      XCTAssertEqual(Set(flat.figures.values), [0])
      XCTAssertEqual(flat.textRanks, Array(repeating: 19, count: 20))
    }
  }

  func testOwnCaptionsDoNotStandInEachOthersWay() {
    // Picture 0 has the texts 0 and 1, picture 1 has text 2, picture 2 has none.
    let retrieval = Retrieval(
      similarity: [0.9, 0.8, 0.1, 0.2, 0.3, 0.1, 0, 0, 0], pictures: 3, pictureOfText: [0, 0, 1])
    XCTAssertEqual(retrieval.textRanks, [0, 2, nil])
    XCTAssertEqual(retrieval.pictureRanks, [0, 0, 1])
    XCTAssertEqual(retrieval.figures["image_to_text_r1"], 0.5)
    XCTAssertEqual(retrieval.figures["image_to_text_r5"], 1)
    let none = Retrieval(similarity: [], pictures: 0, pictureOfText: []).figures
    XCTAssertEqual(none.count, 6)
    for figure in none.values { XCTAssert(figure.isNaN) }
  }

  func testPerplexity() {
    assertEqual(perplexity(negativeLogLikelihood: 4 * 1.0986122886681098, tokens: 4), 3)
    XCTAssertEqual(perplexity(negativeLogLikelihood: 1e6, tokens: 1), .infinity)
    XCTAssert(perplexity(negativeLogLikelihood: 0, tokens: 0).isNaN)
  }
}
