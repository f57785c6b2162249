import Foundation
import OrderedCollections

/// How the answers of two models to the same questions differ in one metric.
public struct Comparison: Equatable, Sendable {
  /// Of each figure, second − first, with the interval of a bootstrap that draws questions, so that both models answer
  /// the same ones.
  public let difference: OrderedDictionary<String, Interval>
  /// How many questions the second answers better, worse and as well as the first.
  public let better: Int
  public let worse: Int
  public let same: Int
  /// The probability that questions fall at least this unevenly on both sides by chance: the exact two-sided sign test,
  /// for right and wrong answers that of McNemar (1947). 1 where no question differs.
  public let signTest: Double

  init(difference: OrderedDictionary<String, Interval>, better: Int, worse: Int, same: Int) {
    (self.difference, self.better, self.worse, self.same) = (difference, better, worse, same)
    signTest = Comparison.signTest(better, worse)
  }

  /// The exact two-sided sign test: min(1, 2·Σ_{k ≤ least} C(n, k)/2ⁿ), n = better + worse.
  public static func signTest(_ better: Int, _ worse: Int) -> Double {
    let count = Double(better + worse)
    func logFactorial(_ number: Double) -> Double { lgamma(number + 1) }
    let tail = (0...min(better, worse)).reduce(0.0) { sum, wins in
      let k = Double(wins)
      return sum + exp(logFactorial(count) - logFactorial(k) - logFactorial(count - k) - count * log(2))
    }
    return min(1, 2 * tail)
  }
}

extension TextMetric {
  /// - Parameters:
  ///   - first: answers of one model.
  ///   - second: answers of another to the same questions, in the same order.
  /// - Throws: `Fault(.badData)` where references do not fit the metric.
  public func compare(
    _ first: [Answer], with second: [Answer], _ bootstrap: Bootstrap = Bootstrap()
  ) throws -> Comparison {
    precondition(first.count == second.count, "\(name): \(first.count) answers and \(second.count) cannot be paired")
    let (rows, others) = (try tallies(first), try tallies(second))
    let intervals = bootstrap.intervals(count: rows.count, named: "compare") { indices in
      let (one, other) = (figures(sum(indices.lazy.map { rows[$0] })), figures(sum(indices.lazy.map { others[$0] })))
      return zip(one.values, other.values).map { $1 - $0 }
    }
    let names = figures(Tally(repeating: 0, count: width)).keys
    let scores = zip(rows, others).map { (figures($0).values.first ?? .nan, figures($1).values.first ?? .nan) }
    let (better, worse) = (scores.count { $0.0 < $0.1 }, scores.count { $0.0 > $0.1 })
    return Comparison(
      difference: OrderedDictionary(uniqueKeysWithValues: zip(names, intervals)), better: better, worse: worse,
      same: scores.count - better - worse)
  }
}
