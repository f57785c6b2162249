import Ground
import OrderedCollections
import XCTest

@testable import Metrics

/// Intervals, figures by group and fairness.
final class GroupTests: XCTestCase {
  func testIntervalsEqualStatsmodels() throws {
    let golden = try fixture("intervals")
    for row in try golden.list("wilson") {
      let numbers = try XCTUnwrap(row.array).compactMap(\.double)
      let interval = Interval.proportion(numbers[0], of: numbers[1])
      assertEqual(interval.value, numbers[0] / numbers[1])
      assertEqual(interval.low, numbers[2])
      assertEqual(interval.high, numbers[3])
    }
    for row in try golden.list("newcombe") {
      let numbers = try XCTUnwrap(row.array).compactMap(\.double)
      let interval = Interval.difference(
        .proportion(numbers[0], of: numbers[1]), .proportion(numbers[2], of: numbers[3]))
      assertEqual(interval.low, numbers[4])
      assertEqual(interval.high, numbers[5])
    }
    for row in try golden.list("quantiles") {
      let parts = try XCTUnwrap(row.array)
      let values = try XCTUnwrap(parts[0].array).compactMap(\.double)
      assertEqual(quantile(try XCTUnwrap(parts[1].double), of: values), try XCTUnwrap(parts[2].double))
    }
    XCTAssert(Interval.proportion(0, of: 0).low.isNaN)
  }

  /// 56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, table II, method 10).
  func testThePublishedExampleOfNewcombe() {
    let interval = Interval.difference(.proportion(56, of: 70), .proportion(48, of: 80))
    assertEqual(interval.value, 0.2, tolerance: 1e-9)
    assertEqual(interval.low, 0.0524, tolerance: 5e-5)
    assertEqual(interval.high, 0.3339, tolerance: 5e-5)
  }

  func testBootstrapDrawsTheSameEachTimeAndOtherwiseForAnotherSeedOrName() {
    let bootstrap = Bootstrap(seed: 7)
    XCTAssertEqual(bootstrap.indices(0, count: 8, named: "a"), Bootstrap(seed: 7).indices(0, count: 8, named: "a"))
    let draws = [
      bootstrap.indices(0, count: 30, named: "a"), bootstrap.indices(1, count: 30, named: "a"),
      bootstrap.indices(0, count: 30, named: "b"), Bootstrap(seed: 8).indices(0, count: 30, named: "a"),
    ]
    XCTAssertEqual(Set(draws).count, 4)
    // Every sample is drawn about equally often: 30 000 draws of 30, standard deviation 31.
    var counts = [Int](repeating: 0, count: 30)
    for resample in 0..<1000 { for index in bootstrap.indices(resample, count: 30, named: "c") { counts[index] += 1 } }
    for count in counts { XCTAssert((850...1150).contains(count), "\(count)") }
  }

  /// The interval of a mean is near mean ± 1.96·s/√n where n is large.
  func testBootstrapOfAMeanAgreesWithTheNormalInterval() {
    let values = (0..<400).map { Double($0 % 20) }
    let interval = Bootstrap(resamples: 4000).intervals(count: 400, named: "") { indices in
      [indices.reduce(0) { $0 + values[$1] } / Double(indices.count)]
    }[0]
    let half = 1.96 * (399.0 / 12).squareRoot() / 20
    XCTAssertEqual(interval.value, 9.5)
    assertEqual(interval.low, 9.5 - half, tolerance: 0.06)
    assertEqual(interval.high, 9.5 + half, tolerance: 0.06)
  }

  func testBootstrapLeavesOutWhatIsNotDefined() {
    let interval = Bootstrap(resamples: 50).intervals(count: 2, named: "") { indices in
      [indices == [0, 0] ? .nan : 3, .nan]
    }
    XCTAssertEqual(interval[0], Interval(value: 3, low: 3, high: 3))
    XCTAssert(interval[1].low.isNaN && interval[1].high.isNaN)
    XCTAssert(Bootstrap().intervals(count: 0, named: "") { _ in [.nan] }[0].low.isNaN)
  }

  private let answers = [
    answer("yes", "yes"), answer("no", "yes"), answer("yes", "yes"), answer("no", "no"), answer("yes", "no"),
  ]
  private let groups = ["b", "a", "b", "a", "b"]

  func testFiguresByGroup() throws {
    let found = try ExactMatch().evaluate(answers, by: groups)
    XCTAssertEqual(Array(found.keys), ["b", "a"], "in the order of their first answers")
    XCTAssertEqual(found["b"]?.count, 3)
    XCTAssertEqual(found["b"]?.figures["exact_match"], .proportion(2, of: 3))
    XCTAssertEqual(found["a"]?.figures["exact_match"], .proportion(1, of: 2))
  }

  func testFiguresThatAreNoProportionsGetABootstrap() throws {
    let found = try POPE().evaluate(answers, by: groups, Bootstrap(resamples: 200))
    let recall = try XCTUnwrap(found["b"]?.figures["pope_precision"])
    assertEqual(recall.value, 2 / 3)
    XCTAssertEqual([recall.low, recall.high], [0, 1])
    XCTAssertEqual(found["b"]?.figures.count, 5)
    XCTAssertEqual(try POPE().evaluate(answers, by: groups, Bootstrap(resamples: 200)), found)
  }

  /// Groups of CIDEr-D are measured with the weights of the whole set, so that they add up to it.
  func testGroupsAddUpToTheWhole() throws {
    let corpus = try fixture("caption_scores").list("corpora")[0].list("answers").map { try $0.answer() }
    let groups = corpus.indices.map { $0 % 3 == 0 ? "x" : "y" }
    let found = try CIDErD().evaluate(corpus, by: groups, Bootstrap(resamples: 20))
    let sum = found.values.reduce(0.0) { $0 + Double($1.count) * ($1.figures["cider"]?.value ?? .nan) }
    assertEqual(sum / Double(corpus.count), try fixture("caption_scores").list("corpora")[0].number("cider"))
  }

  func testAnyFiguresByGroup() throws {
    let scores = [0.9, 0.8, 0.3, 0.6, 0.2, 0.1], holds = [true, false, true, true, false, false]
    let found = figures(by: ["a", "b", "a", "b", "a", "b"], proportions: ["right"], Bootstrap(resamples: 100)) {
      samples in
      [
        "auroc": auroc(scores: samples.map { scores[$0] }, isPositive: samples.map { holds[$0] }),
        "right": mean(samples.map { (scores[$0] > 0.5) == holds[$0] ? 1 : 0 }),
      ]
    }
    XCTAssertEqual(Array(found.keys), ["a", "b"])
    XCTAssertEqual(found["a"]?.figures["right"], .proportion(2, of: 3))
    // 0.9 and 0.3 hold, 0.2 does not; of the others 0.6 stands between 0.8 and 0.1.
    XCTAssertEqual(found["a"]?.figures["auroc"], Interval(value: 1, low: 1, high: 1))
    XCTAssertEqual(found["b"]?.figures["auroc"]?.value, 0.5)
    XCTAssertEqual(found["b"]?.count, 3)
  }

  func testComparisonOfTwoModels() throws {
    let first = (0..<40).map { answer($0 < 20 ? "a" : "b", "a") }
    let second = (0..<40).map { answer($0 < 18 || $0 >= 30 ? "a" : "b", "a") }
    let found = try ExactMatch().compare(first, with: second)
    XCTAssertEqual([found.better, found.worse, found.same], [10, 2, 28])
    let difference = try XCTUnwrap(found.difference["exact_match"])
    assertEqual(difference.value, 0.2)
    // Of 40 pairs of mean 0.2 and variance 0.26 the standard error is 0.081.
    XCTAssert(abs(difference.low - 0.04) < 0.04 && abs(difference.high - 0.36) < 0.04, "\(difference)")
    let none = try ExactMatch().compare([], with: [])
    XCTAssertEqual(none.signTest, 1)
    XCTAssert(none.difference["exact_match"]?.value.isNaN == true)
  }

  func testSignTestEqualsSciPy() throws {
    for row in try fixture("intervals").list("signs") {
      let numbers = try XCTUnwrap(row.array).compactMap(\.double)
      assertEqual(Comparison.signTest(Int(numbers[0]), Int(numbers[1])), numbers[2], tolerance: 1e-11)
    }
  }

  func testDropOfProportionsIsNewcombes() throws {
    let inside = (0..<70).map { answer($0 < 56 ? "a" : "b", "a") }
    let outside = (0..<80).map { answer($0 < 48 ? "a" : "b", "a") }
    let found = try ExactMatch().drop(inside: inside, outside: outside)
    XCTAssertEqual(
      found.drop["exact_match"], .difference(.proportion(56, of: 70), .proportion(48, of: 80)))
    XCTAssertEqual(found.inside.count, 70)
    let empty = try ExactMatch().drop(inside: inside, outside: [])
    XCTAssert(try XCTUnwrap(empty.drop["exact_match"]).value.isNaN)
  }

  func testDropOfOtherFiguresIsDrawn() throws {
    let inside = (0..<60).map { answer("abcdef", $0 % 2 == 0 ? "abcdef" : "abcdxf") }
    let outside = (0..<60).map { answer("abcdef", $0 % 2 == 0 ? "abcdxf" : "zzz") }
    let drop = try XCTUnwrap(ANLS().drop(inside: inside, outside: outside).drop["anls"])
    assertEqual(drop.value, (1 + 5.0 / 6) / 2 - 5.0 / 12)
    XCTAssert(drop.low > 0.35 && drop.low < drop.value && drop.value < drop.high && drop.high < 0.65, "\(drop)")
  }

  func testFairnessEqualsFairlearn() throws {
    let cases = try fixture("fairness").list("cases")
    XCTAssertEqual(cases.count, 5)
    for golden in cases {
      let fairness = Fairness(
        truth: try golden.list("truth").compactMap(\.bool), decisions: try golden.list("said").compactMap(\.bool),
        groups: try golden.list("groups").compactMap(\.string))
      assertEqual(fairness.demographicParityDifference, try golden.number("demographic_parity_difference"))
      assertEqual(fairness.equalizedOddsDifference, try golden.number("equalized_odds_difference"))
      XCTAssertEqual(fairness.figures.count, 4)
      for (name, value) in fairness.figures { assertEqual(value, try golden.number(name), name) }
      for (group, found) in fairness.rates {
        for name in ["selection_rate", "true_positive_rate", "false_positive_rate"] {
          let rate = try XCTUnwrap(found.figures[name]).value
          assertEqual(rate.isNaN ? 0 : rate, try XCTUnwrap(golden[name]).number(group), "\(name) of \(group)")
        }
      }
    }
    XCTAssertEqual(
      Fairness(truth: [true, false, false], decisions: [true, true, false], groups: ["p", "p", "q"]).incompleteGroups,
      ["q"])
    XCTAssert(Fairness(truth: [], decisions: [], groups: []).demographicParityDifference.isNaN)
  }

  func testDifferencesOfFairnessHaveIntervals() {
    let groups = (0..<400).map { $0 % 2 == 0 ? "a" : "b" }
    let truth = (0..<400).map { $0 % 4 < 2 }
    let decisions = (0..<400).map { $0 % 2 == 0 ? $0 % 10 < 8 : $0 % 10 < 3 }
    let found = Fairness.differences(truth: truth, decisions: decisions, groups: groups, Bootstrap(resamples: 300))
    let parity = found["demographic_parity_difference"]
    assertEqual(parity?.value, Fairness(truth: truth, decisions: decisions, groups: groups).demographicParityDifference)
    XCTAssert((parity?.low ?? 0) < (parity?.value ?? 0) && (parity?.value ?? 0) < (parity?.high ?? 0), "\(found)")
  }
}
