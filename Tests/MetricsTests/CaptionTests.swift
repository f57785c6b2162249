import Ground
import XCTest

@testable import Metrics

/// Captions are cut and scored as the COCO caption evaluation does.
final class CaptionTests: XCTestCase {
  /// The lines of one part of the fixture and how many of them become the words of the reference.
  private func equal(_ part: String, else report: (_ line: String, _ found: String, _ expected: String) -> Void)
    throws -> (count: Int, of: Int)
  {
    let cases = try fixture("captions").list(part).map { try XCTUnwrap($0.array).compactMap(\.string) }
    var count = 0
    for pair in cases {
      let found = CaptionTokenizer.caption(pair[0])
      if found.bytes == pair[1].bytes { count += 1 } else { report(pair[0], found, pair[1]) }
    }
    return (count, cases.count)
  }

  func testOrdinaryCaptionsAreCutAsTheReferenceDoes() throws {
    let (count, all) = try equal("ordinary") { XCTFail("'\($0)' became '\($1)', not '\($2)'") }
    XCTAssertEqual([count, all], [291, 291])
  }

  /// What docs/evaluation-metrics.md says of captions with rare abbreviations, smileys, markup and random signs.
  func testShareOfOddCaptionsThatIsCutAsTheReferenceDoes() throws {
    XCTAssertEqual(try equal("hard") { _, _, _ in }.count, 178)
    XCTAssertEqual(try equal("odd") { _, _, _ in }.count, 205)
  }

  func testConventions() {
    let cases = [
      "The dogs' owner isn't here; he'd said: it\u{2019}s 5 o'clock!":
        "the dogs owner is n't here he 'd said it 's 5 o'clock",
      "Y'all can't, gonna rock'n'roll 'til '99": "y' all ca n't gon na rock 'n' roll 'til '99",
      "Mr. X at 5 p.m. in the U.S.": "mr. x at 5 p.m. in the u.s.",
      "Plan b. The end.": "plan b the end", "Plan b. goes on": "plan b. goes on", "No. 5, no.": "no. 5 no",
      "$1,000.50, 50% and \u{A3}3 (a t-shirt)": "$ 1,000.50 50 % and # 3 -lrb- a t-shirt -rrb-",
      "2 1/2 cups at 10:30am": "2\u{A0}1/2 cups at 10:30 am",
      "\u{391}\u{3A3} \u{1F600} \u{65E5}": "\u{3B1}\u{3C2} \u{65E5}",
      "what?! no?": "what ?! no", "n't 's -- ... ''": "n't 's", "a\r\ndog\u{2028}cat\u{85}": "a dog cat", "": "",
    ]
    for (caption, words) in cases { XCTAssertEqual(CaptionTokenizer.caption(caption), words) }
  }

  /// No run of signs makes it slow, and none stops it: ten times the text may not take a hundred times as long.
  func testAnyTextIsCut() {
    let pieces = [
      "a", "1", "1a", "1,", "a.", "A&", "'", "'n'", "n't", "-", "a-", "a/", "'s", "\u{3A3}", "\u{301}", "\u{1F600}",
      "(",
      "!?", "_", "a. ", "no. ", "a.-", "1/", "#", "\u{130}", "\u{200D}", "+", "'9", "@n't",
    ]
    let start = Date()
    for piece in pieces {
      let text = String(repeating: piece, count: 100_000 / piece.unicodeScalars.count)
      XCTAssertFalse(CaptionTokenizer.caption(text).contains("  "), piece)
      for other in pieces { _ = CaptionTokenizer.caption(piece + other + piece + other) }
    }
    // A second on a machine at rest; a rule that takes the square of the length would take hours.
    XCTAssertLessThan(Date().timeIntervalSince(start), 60)
  }

  func testScoresEqualTheCOCOEvaluation() throws {
    let corpora = try fixture("caption_scores").list("corpora")
    XCTAssertEqual(try corpora.map { try $0.list("answers").count }, [40, 3, 1, 25])
    for corpus in corpora {
      let answers = try corpus.list("answers").map { try $0.answer() }
      for metric in [BLEU(), ROUGEL(), CIDErD()] as [any TextMetric] {
        let result = try metric.evaluate(answers)
        for (name, figure) in result.figures { assertEqual(figure, try corpus.number(name), name) }
        let main = try XCTUnwrap(result.figures.keys.first)
        let each = try XCTUnwrap(corpus["each"]).numbers(main)
        XCTAssertEqual(result.perAnswer?.count, each.count)
        for (index, score) in each.enumerated() {
          assertEqual(result.perAnswer?[index], score, "\(main) of \(answers[index])")
        }
      }
    }
  }

  /// A figure is made of additions in a fixed order: no bit depends on how a dictionary happens to be laid out.
  func testScoresHaveTheSameBitsEachTime() throws {
    let answers = try fixture("caption_scores").list("corpora")[0].list("answers").map { try $0.answer() }
    let first = try CIDErD().scores(answers)
    for _ in 0..<3 { XCTAssertEqual(try CIDErD().scores(answers), first) }
  }
}
