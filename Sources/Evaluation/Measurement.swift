import Foundation
import Ground
import Metrics
import OrderedCollections

/// A metric over the records of a data set: a row of counts for each, and figures of the sum of any rows.
public struct Measurement: Sendable {
  public let name: String
  /// In the order of the records.
  public let rows: [Tally]
  private let width: Int
  /// Nil of losses.
  private let metric: (any TextMetric)?
  private let makeFigures: @Sendable (Tally) -> OrderedDictionary<String, Double>

  /// - Throws: `Fault(.badData)` where references do not fit the metric.
  public init(_ metric: any TextMetric, _ answers: [Answer]) throws {
    (name, rows, width, self.metric) = (metric.name, try metric.tallies(answers), metric.width, metric)
    makeFigures = { metric.figures($0) }
  }

  /// −Σ log p / tokens of the supervised tokens, and what `figures` make of it.
  private init(
    _ name: String, _ losses: [LossEvaluation.SampleLoss],
    figures: @escaping @Sendable (_ loss: Double) -> OrderedDictionary<String, Double>
  ) {
    (self.name, width, metric) = (name, 2, nil)
    rows = losses.map { [$0.nll, Double($0.tokens)] }
    makeFigures = { figures($0[1] > 0 ? $0[0] / $0[1] : 0) }
  }

  public static func loss(_ losses: [LossEvaluation.SampleLoss]) -> Measurement {
    Measurement("loss", losses) { ["loss": $0] }
  }
  /// exp(loss)
  public static func perplexity(_ losses: [LossEvaluation.SampleLoss]) -> Measurement {
    Measurement("perplexity", losses) { ["perplexity": exp($0)] }
  }

  /// Whether it looks at what a model says.
  public var isOfTexts: Bool { metric != nil }

  /// The figures of some records, the main one first; nil: of all.
  public func figures(_ records: [Int]? = nil) -> OrderedDictionary<String, Double> {
    makeFigures(sum(records ?? Array(rows.indices)))
  }

  /// The figures of some records with intervals of 95 %.
  /// - Parameter group: what the records are, so that each group is drawn from by itself.
  public func intervals(_ records: [Int]? = nil, of group: String = "") -> OrderedDictionary<String, Interval> {
    let records = records ?? Array(rows.indices)
    if let metric { return metric.figures(of: records.map { rows[$0] }, named: group).figures }
    let found = Bootstrap().intervals(count: records.count, named: group) { drawn in
      Array(figures(drawn.map { records[$0] }).values)
    }
    return OrderedDictionary(uniqueKeysWithValues: zip(figures(records).keys, found))
  }

  /// The main figure.
  public func main(_ records: [Int]? = nil) -> Double { figures(records).values.first ?? .nan }

  /// The main figure of one record alone.
  public func main(of record: Int) -> Double { main([record]) }

  private func sum(_ records: [Int]) -> Tally {
    var total = Tally(repeating: 0, count: width)
    for record in records { for column in 0..<width { total[column] += rows[record][column] } }
    return total
  }

  /// Whether a smaller main figure is the better one.
  public var isBetterWhenLess: Bool { Measurement.isBetterWhenLess(name) }

  public static func isBetterWhenLess(_ name: String) -> Bool {
    ["loss", "perplexity", "mean_absolute_error", "calibration_error"].contains(name)
  }
}
