import Ground
import XCTest

@testable import Demo

final class ExaminationTests: XCTestCase {
  func testChanceIsTheMeanOverFamilies() {
    XCTAssertEqual(Examination().chance, (1.0 / 6 + 1.0 / 4 + 1.0 / 3 + 1.0 / 2) / 4, accuracy: 1e-12)
  }

  func testShufflingGivesEveryQuestionAnotherPicture() {
    let examination = Examination()
    let shuffled = examination.shuffled
    XCTAssertEqual(shuffled.questions.map(\.question), examination.questions.map(\.question))
    XCTAssertEqual(Set(shuffled.questions.map(\.image)), Set(examination.questions.map(\.image)))
    for (other, own) in zip(shuffled.questions, examination.questions) { XCTAssertNotEqual(other.image, own.image) }
  }

  func testTheAnswersOfTheShuffledPicturesAreAtChance() {
    let examination = Examination()
    let own = Dictionary(uniqueKeysWithValues: examination.questions.map { ($0.image, $0.question) })
    let guesses = examination.shuffled.questions.enumerated().map { index, asked in
      let options = asked.question.family.options
      guard let seen = own[asked.image], seen.family == asked.question.family else {
        return options[index / 4 % options.count]
      }
      return seen.answer
    }
    let fair = examination.score(examination.questions.map(\.question.answer)).accuracy()
    XCTAssertEqual(fair, 1)
    let matched = zip(examination.shuffled.questions, guesses).filter { asked, _ in
      own[asked.image]?.family == asked.question.family
    }
    let right = matched.filter { asked, guess in asked.question.answer == guess }.count
    XCTAssertGreaterThan(matched.count, 60)
    XCTAssertEqual(Double(right) / Double(matched.count), examination.chance, accuracy: 0.12)
  }

  func testAnswersAreComparedByTheirFirstWord() {
    let questions = [("red", Question.Family.colour), ("two", .number), ("left", .side), ("star", .shape)].map {
      PictureQuestion(image: "a.png", question: Question(family: $0.1, text: "?", answer: $0.0))
    }
    let score = Examination(questions: questions).score([" red\n", "two stars", "right", ""])
    XCTAssertEqual(score.accuracy(), 0.5)
    XCTAssertEqual(Question.Family.allCases.map { score.accuracy($0) }, [1, 0, 1, 0])
  }

  func testTheReportIsWhatTheContractSays() {
    let questions = (0..<4).map { index in
      PictureQuestion(image: "\(index)", question: Question(family: .side, text: "?", answer: "left"))
    }
    let examination = Examination(questions: questions)
    let report = DemoReport(
      chance: 0.5, before: examination.score(["left", "right", "right", "right"]),
      after: examination.score(["left", "left", "left", "left"]),
      shuffled: examination.score(["left", "left", "right", "right"]), seconds: 90.5)
    XCTAssertEqual(
      report.json.description,
      "{\"chance\": 0.5, \"before\": 0.25, \"after\": 1.0, \"shuffled\": 0.5, \"seconds\": 90.5}")
    let all = report.table.split(separator: "\n").first { $0.hasPrefix("all") }
    XCTAssertEqual(
      all?.split(separator: " ").joined(separator: " "), "all 25.0 % 100.0 % 50.0 % 50.0 %")
    XCTAssertEqual(Set(report.table.split(separator: "\n").dropLast().map(\.count)), [66])
  }
}
