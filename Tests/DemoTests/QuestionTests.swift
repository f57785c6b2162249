import Foundation
import XCTest

@testable import Demo

final class QuestionTests: XCTestCase {
  func testEveryPictureIsAskedAboutEveryFamilyWithItsTrueAnswer() {
    for index in 0..<400 {
      let scene = PictureSet.training.scene(index)
      let truth: [Question.Family: String] = [
        .colour: scene.colour.rawValue, .shape: scene.shape.rawValue,
        .number: ["one", "two", "three"][scene.count - 1],
        .side: scene.figures[0].x < 0.5 ? "left" : "right",
      ]
      let asked = PictureSet.training.conversation(index)
      XCTAssertEqual(Dictionary(uniqueKeysWithValues: asked.map { ($0.family, $0.answer) }), truth)
      XCTAssertTrue(asked.allSatisfy { $0.family.options.contains($0.answer) })
    }
  }

  func testHeldOutAnswersComeEquallyOften() {
    let questions = Examination().questions.map(\.question)
    XCTAssertEqual(questions.count, 384)
    for family in Question.Family.allCases {
      let answers = questions.filter { $0.family == family }.map(\.answer)
      XCTAssertEqual(answers.count, 96)
      for option in family.options {
        XCTAssertEqual(answers.filter { $0 == option }.count, 96 / family.options.count, option)
      }
    }
  }

  /// Learns from many questions which answer goes best with each text, and with each word, without any picture.
  func testTheTextAloneIsWorthNoMoreThanGuessing() {
    let set = PictureSet(purpose: .training, count: 12000, seed: 5)
    let asked = (0..<set.count).map(set.conversation)
    for features in [{ [$0] }, { $0.split(separator: " ").map(String.init) }] as [(String) -> [String]] {
      var counts: [String: [String: Double]] = [:]
      for question in asked.prefix(10000).joined() {
        for feature in features(question.text) {
          counts["\(question.family) \(feature)", default: [:]][question.answer, default: 0] += 1
        }
      }
      var right: [Question.Family: Int] = [:]
      let examined = asked.suffix(2000).flatMap(\.self)
      for question in examined {
        let votes = features(question.text).compactMap { counts["\(question.family) \($0)"] }
        let best = question.family.options.max { first, second in
          score(first, votes) < score(second, votes)
        }
        right[question.family, default: 0] += best == question.answer ? 1 : 0
      }
      for family in Question.Family.allCases {
        let count = examined.filter { $0.family == family }.count
        let accuracy = Double(right[family, default: 0]) / Double(count)
        XCTAssertEqual(accuracy, family.chance, accuracy: 0.045, "\(family), of \(count)")
      }
    }
  }

  func testPluralsFollowTheNumber() {
    XCTAssertEqual(Shape.allCases.map { $0.noun(1) }, ["circle", "square", "triangle", "star"])
    XCTAssertEqual(Shape.allCases.map { $0.noun(2) }, ["circles", "squares", "triangles", "stars"])
  }

  func testDescriptionsSayAllThatThereIsToAsk() {
    let set = PictureSet(purpose: .pretraining, count: 300)
    var requests: Set<String> = []
    for index in 0..<set.count {
      let (caption, scene) = (set.caption(index), set.scene(index))
      requests.insert(caption.request)
      let words = Set(caption.text.split(separator: " ").map(String.init))
      XCTAssertEqual(
        words,
        [
          scene.colour.rawValue, scene.side.rawValue, scene.shape.noun(scene.count),
          ["one", "two", "three"][scene.count - 1],
        ])
    }
    XCTAssertEqual(requests.count, 4)
  }

  private func score(_ answer: String, _ votes: [[String: Double]]) -> Double {
    votes.reduce(0) { $0 + log(($1[answer] ?? 0) + 1) }
  }
}
