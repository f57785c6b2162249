import XCTest

@testable import Inspection

final class AnswerProbeTests: XCTestCase {
  private var words: [UInt32: String] = [:]

  private func record(_ index: Int, _ question: String, _ answer: String) -> RecordFacts {
    var facts = RecordFacts()
    facts.isRead = true
    facts.imageCount = 1
    facts.pictures = [
      PictureFacts(digest: Digest(of: Array("\(index)".utf8)), width: 9, height: 9, hash: [0, 0, 0, 0], isBlank: false)
    ]
    Words.each(in: question) { words[$0] = String(decoding: $1, as: UTF8.self) }
    facts.asked = [RecordFacts.Asked(Words.hashes(of: question), answer: answer)]
    return facts
  }

  private func draw(_ index: Int, _ number: Int, _ most: Int) -> Int {
    Int(Shingles.mix(UInt64(index), UInt64(number)) % UInt64(most))
  }

  private let fillers = ["small", "large", "new", "old", "left", "upper", "dry", "red"]

  func testQuestionsThatSayNothingAreSilent() throws {
    // Three kinds of questions with answers of their own: the kind says which answers are possible, no word says more.
    let kinds = [
      ("what colour is the", ["red", "blue", "green"]), ("how many are in the", ["one", "two"]),
      ("is it", ["yes", "no"]),
    ]
    let facts = (0..<3000).map { index -> RecordFacts in
      let (question, answers) = kinds[draw(index, 1, 3)]
      return record(index, "\(question) \(fillers[draw(index, 2, 8)]) place?", answers[draw(index, 3, answers.count)])
    }
    let probe = try XCTUnwrap(AnswerProbe(facts, words: words))
    XCTAssertEqual(probe.turns, 3000)
    XCTAssertEqual(probe.answers, 7)
    XCTAssertEqual(probe.accuracy, 0.444, accuracy: 0.05)
    XCTAssertEqual(probe.exchanged, probe.accuracy, accuracy: 0.04)
    XCTAssertLessThan(probe.majority, 0.22)
    XCTAssertFalse(probe.isShortcut)
    XCTAssertEqual(probe.clues, [])
  }

  func testAWordThatGivesTheAnswerAwayIsFound() throws {
    // Where the question says "irregular", 9 of 10 answers are "malignant"; where it says "round", "benign".
    let facts = (0..<1000).map { index -> RecordFacts in
      let isMalignant = draw(index, 1, 2) == 0
      let isTold = draw(index, 2, 10) < 9
      let word = isMalignant == isTold ? "irregular" : "round"
      return record(
        index, "Is this \(word) \(fillers[draw(index, 3, 8)]) lesion benign or malignant?",
        isMalignant ? "malignant" : "benign")
    }
    let probe = try XCTUnwrap(AnswerProbe(facts, words: words))
    XCTAssertEqual(probe.accuracy, 0.9, accuracy: 0.03)
    XCTAssertEqual(probe.majorityByKind, 0.5, accuracy: 0.05)
    XCTAssertTrue(probe.isShortcut)
    XCTAssertEqual(
      Set(probe.clues.prefix(2).map { "\($0.word) \($0.answer)" }), ["irregular malignant", "round benign"])
    for clue in probe.clues.prefix(2) {
      XCTAssertEqual(clue.share, 0.9, accuracy: 0.03)
      XCTAssertEqual(clue.expected, 0.5, accuracy: 0.05)
    }
  }

  func testANoteInFrontThatNamesTheAnswerIsFound() throws {
    // Nine of ten notes are right. The first two words say it all, but a kind of question they are not.
    let answers = ["one", "two", "three"]
    let facts = (0..<1000).map { index -> RecordFacts in
      let answer = draw(index, 1, 3)
      let noted = draw(index, 2, 10) < 9 ? answer : (answer + 1) % 3
      return record(index, "Note \(answers[noted]). How many are there?", answers[answer])
    }
    let probe = try XCTUnwrap(AnswerProbe(facts, words: words))
    XCTAssertEqual(probe.accuracy, 0.9, accuracy: 0.03)
    XCTAssertEqual(probe.majorityByKind, 0.34, accuracy: 0.05)
    XCTAssertTrue(probe.isShortcut)
    XCTAssertEqual(Set(probe.clues.map { "\($0.word) \($0.answer)" }), ["one one", "two two", "three three"])
  }

  func testRareAnswersAndFewTurnsAreNotJudged() {
    XCTAssertNil(AnswerProbe([], words: [:]))
    XCTAssertNil(AnswerProbe((0..<99).map { record($0, "is it so", $0 % 2 == 0 ? "yes" : "no") }, words: words))
    XCTAssertNil(AnswerProbe((0..<500).map { record($0, "what is it", "thing \($0)") }, words: words), "free answers")
    XCTAssertNil(AnswerProbe((0..<500).map { record($0, "is it so", "yes") }, words: words), "one answer")
    let texts = (0..<500).map { index -> RecordFacts in
      var facts = record(index, "is it so", index % 2 == 0 ? "yes" : "no")
      (facts.imageCount, facts.pictures) = (0, [])
      return facts
    }
    XCTAssertNil(AnswerProbe(texts, words: words), "no pictures")
  }
}
