import Foundation
import XCTest

@testable import Demo

final class QuestionTests: XCTestCase {
  func testEveryQuestionHasOneRightAnswer() {
    for index in 0..<400 {
      let scene = PictureSet.training.scene(index)
      for question in PictureSet.training.conversation(index) {
        XCTAssertEqual(answers(to: question, about: scene), [question.answer], "\(question) on \(scene.groups)")
        XCTAssertTrue(question.family.options.contains(question.answer))
      }
    }
  }

  func testEveryPictureIsAskedAboutEveryFamilyItIsFor() {
    for index in 0..<100 {
      let families = PictureSet.training.conversation(index).map(\.family)
      let own: Question.Family = PictureSet.training.scene(index).kind == .row ? .side : .number
      XCTAssertEqual(Set(families), [.colour, .shape, own])
      XCTAssertTrue((3...4).contains(families.count))
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
    XCTAssertEqual(Shape.allCases.map { $0.noun(1) }, ["circle", "square", "triangle", "star", "ring", "cross"])
    XCTAssertEqual(Shape.allCases.map { $0.noun(2) }, ["circles", "squares", "triangles", "stars", "rings", "crosses"])
  }

  func testEverySceneHasADescriptionOfAllItsGroups() {
    let set = PictureSet(purpose: .pretraining, count: 300)
    var requests: Set<String> = []
    for index in 0..<set.count {
      let caption = set.caption(index)
      requests.insert(caption.request)
      for group in set.scene(index).groups {
        XCTAssertTrue(caption.text.contains(group.colour.rawValue) && caption.text.contains(group.shape.rawValue))
      }
    }
    XCTAssertEqual(requests.count, 6)
  }

  private func score(_ answer: String, _ votes: [[String: Double]]) -> Double {
    votes.reduce(0) { $0 + log(($1[answer] ?? 0) + 1) }
  }

  /// What a careful reader would answer: all answers that fit the picture.
  private func answers(to question: Question, about scene: Scene) -> [String] {
    let words = question.text.lowercased().split { !$0.isLetter }.map(String.init)
    func named(_ word: String) -> Group? {
      scene.groups.first { [$0.shape.noun(1), $0.shape.noun(2), $0.colour.rawValue].contains(word) }
    }
    let mentioned = words.compactMap(named)
    switch question.family {
    case .colour: return mentioned.map(\.colour.rawValue)
    case .shape: return mentioned.map(\.shape.rawValue)
    case .number: return mentioned.map { ["one", "two", "three", "four"][$0.figures.count - 1] }
    case .side:
      guard mentioned.count == 2 else { return [] }
      let isFirst = question.text.hasPrefix("Is")
      let (subject, reference) = (mentioned[isFirst ? 0 : 1], mentioned[isFirst ? 1 : 0])
      return [subject.figures[0].x < reference.figures[0].x ? "left" : "right"]
    }
  }
}
