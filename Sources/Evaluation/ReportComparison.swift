import Foundation
import Ground
import Metrics
import OrderedCollections

/// What changed between two evaluations of the same samples.
public struct ReportComparison {
  /// One figure of both, and second − first with an interval that draws samples, the same of both.
  public struct Figure: Equatable, Sendable {
    public let first: Double
    public let second: Double
    public let difference: Interval
  }

  /// How many samples the second does better, worse and as well, by the main figure of a metric, and the exact two-sided
  /// sign test of that.
  public struct Tally: Equatable, Sendable {
    public let better: Int
    public let worse: Int
    public let same: Int
    public var signTest: Double { Comparison.signTest(better, worse) }
  }

  /// A sample that is better or worse than it was.
  public struct Change: Sendable {
    /// Its place in the reports.
    public let number: Int
    public let first: Double
    public let second: Double
  }

  public let count: Int
  public let figures: OrderedDictionary<String, Figure>
  public let tallies: OrderedDictionary<String, Tally>
  /// By column and group: how many samples it has, and their figures.
  public let groups: OrderedDictionary<String, OrderedDictionary<String, (count: Int, figures: [String: Figure])>>
  /// The metric that ``worse`` and ``better`` go by: the first whose scores are right or wrong, else the first.
  public let metric: String?
  /// Whether its scores are all 0 or 1.
  public let isRightOrWrong: Bool
  /// The greatest change first; of as great ones in the order of the samples.
  public let worse: [Change]
  public let better: [Change]
  /// What only one of the reports holds, or what they cannot be compared by.
  public let leftOut: [String]
  private let samples: (first: [JSON], second: [JSON])

  /// - Throws: `Fault(.badData)` where the reports are not of the same samples, or share no metric.
  public init(_ first: MeasuredSamples, _ second: MeasuredSamples, _ bootstrap: Bootstrap = Bootstrap()) throws {
    try ReportComparison.requireSame(first, second)
    // Of other tokens losses are not of the same things.
    let tokens = zip(first.samples, second.samples).allSatisfy { $0["tokens"] == $1["tokens"] }
    let common = first.metrics.compactMap { own in
      second.metrics.first { $0.name == own.name && $0.figures == own.figures }.map { (own, $0) }
    }
    let pairs = common.filter { tokens || !["loss", "perplexity"].contains($0.0.name) }
    guard !pairs.isEmpty else {
      let (own, other) = (ReportComparison.names(first), ReportComparison.names(second))
      throw Fault(
        .badData,
        common.isEmpty ? "the reports share no metric: \(own) | \(other)" : "the reports' losses are of other tokens",
        at: "\(first.file), \(second.file)",
        common.isEmpty ? "evaluate both with the same --metrics" : "compare a metric of answers")
    }
    let shared = Set(pairs.map(\.0.name))
    leftOut = OrderedSet((first.metrics + second.metrics).map(\.name)).filter { !shared.contains($0) }
    samples = (first.samples, second.samples)
    count = first.samples.count

    func figures(_ records: [Int], _ name: String) -> OrderedDictionary<String, Figure> {
      var found: OrderedDictionary<String, Figure> = [:]
      for (own, other) in pairs {
        let intervals = bootstrap.intervals(count: records.count, named: "compare \(name)") { drawn in
          let drawn = drawn.map { records[$0] }
          return zip(own.draw(drawn), other.draw(drawn)).map { $1 - $0 }
        }
        for (place, figure) in own.figures.enumerated() {
          found[figure] = Figure(
            first: own.draw(records)[place], second: other.draw(records)[place], difference: intervals[place])
        }
      }
      return found
    }
    self.figures = figures(Array(0..<count), "")
    groups = ReportComparison.groups(of: first.samples).mapValues { members in
      OrderedDictionary(
        members.map { value, records in
          let found = figures(records, value)
          return (value, (records.count, Dictionary(uniqueKeysWithValues: found.elements.map { ($0.key, $0.value) })))
        }, uniquingKeysWith: { $1 })
    }
    let changes = pairs.map { own, other -> (name: String, changes: [Change], isBinary: Bool) in
      let sign: Double = Measurement.isBetterWhenLess(own.name) ? -1 : 1
      let changes = own.scores.indices.map {
        Change(number: $0, first: sign * own.scores[$0], second: sign * other.scores[$0])
      }
      return (own.name, changes, (own.scores + other.scores).allSatisfy { $0 == 0 || $0 == 1 })
    }
    tallies = OrderedDictionary(
      uniqueKeysWithValues: changes.map { name, changes, _ in
        let (better, worse) = (changes.count { $0.first < $0.second }, changes.count { $0.first > $0.second })
        return (name, Tally(better: better, worse: worse, same: changes.count - better - worse))
      })
    let telling = changes.first { $0.isBinary && !$0.changes.isEmpty } ?? changes.first
    metric = telling?.name
    isRightOrWrong = telling?.isBinary ?? false
    func sorted(_ isChange: (Change) -> Bool) -> [Change] {
      (telling?.changes ?? []).filter(isChange).sorted {
        let (a, b) = (abs($0.second - $0.first), abs($1.second - $1.first))
        return a != b ? a > b : $0.number < $1.number
      }
    }
    worse = sorted { $0.second < $0.first }
    better = sorted { $0.second > $0.first }
  }

  private static func names(_ report: MeasuredSamples) -> String {
    report.metrics.isEmpty ? "none" : report.metrics.map(\.name).joined(separator: ", ")
  }

  /// What both reports say of a sample must be the same; other metrics may say more of it in one of them.
  private static func requireSame(_ first: MeasuredSamples, _ second: MeasuredSamples) throws {
    let remedy = "evaluate both models on the same records"
    guard first.samples.count == second.samples.count else {
      throw Fault(
        .badData, "\(first.samples.count) samples and \(second.samples.count)", at: "\(first.file), \(second.file)",
        remedy)
    }
    guard !first.samples.isEmpty else { throw Fault(.badData, "no samples", at: first.file, remedy) }
    for (number, (own, other)) in zip(first.samples, second.samples).enumerated() {
      for key in ["index", "question", "references", "label", "text"] where own[key] != other[key] {
        guard key == "index" || own[key] != nil && other[key] != nil else { continue }
        throw Fault(
          .badData, "sample \(number + 1) has another '\(key)' in the two reports",
          at: "\(first.file), \(second.file)", remedy)
      }
    }
  }

  /// The samples of each group by column, the largest group first.
  private static func groups(of samples: [JSON]) -> OrderedDictionary<String, OrderedDictionary<String, [Int]>> {
    var found: OrderedDictionary<String, OrderedDictionary<String, [Int]>> = [:]
    for (number, sample) in samples.enumerated() {
      for (column, value) in sample["groups"]?.object ?? [:] {
        found[column, default: [:]][value.string ?? "(none)", default: []].append(number)
      }
    }
    return found.mapValues { members in
      OrderedDictionary(
        uniqueKeysWithValues: members.elements.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
          .map { ($0.key, $0.value) })
    }
  }
}

// MARK: Report

extension ReportComparison {
  /// `{"first", "second", "records", "metrics", "differences", "groups", "changes"}`; `metrics` holds the differences
  /// alone, second − first.
  /// - Parameters: `first`, `second`: what the two are called.
  public func json(first: String, second: String) -> JSON {
    var members: OrderedDictionary<String, JSON> = [
      "first": .string(first), "second": .string(second), "records": .integer(count),
      "metrics": .object(figures.mapValues { .number($0.difference.value) }),
      "differences": .object(
        OrderedDictionary(
          uniqueKeysWithValues: figures.map { name, figure in
            var own = ReportComparison.members(of: figure)
            if let tally = tallies[name] {
              own["better"] = .integer(tally.better)
              own["worse"] = .integer(tally.worse)
              own["same"] = .integer(tally.same)
              own["sign_test"] = .number(tally.signTest)
            }
            return (name, JSON.object(own))
          })),
    ]
    if !leftOut.isEmpty { members["left_out"] = .array(leftOut.map(JSON.string)) }
    if !groups.isEmpty {
      members["groups"] = .object(
        groups.mapValues { column in
          .object(
            column.mapValues { group in
              var own: OrderedDictionary<String, JSON> = ["count": .integer(group.count)]
              for name in figures.keys {
                own[name] = group.figures[name].map { .object(ReportComparison.members(of: $0)) }
              }
              return .object(own)
            })
        })
    }
    if let metric {
      members["changes"] = [
        "metric": .string(metric), "right_or_wrong": .bool(isRightOrWrong),
        "worse": .array(worse.map(changed)), "better": .array(better.map(changed)),
      ]
    }
    return .object(members)
  }

  private static func members(of figure: Figure) -> OrderedDictionary<String, JSON> {
    [
      "first": .number(figure.first), "second": .number(figure.second), "difference": .number(figure.difference.value),
      "low": .number(figure.difference.low), "high": .number(figure.difference.high),
    ]
  }

  /// A sample with what both models say of it.
  private func changed(_ change: Change) -> JSON {
    let (own, other) = (samples.first[change.number], samples.second[change.number])
    var members: OrderedDictionary<String, JSON> = [:]
    for key in ["index", "question", "text", "images", "references", "label", "groups"] { members[key] = own[key] }
    members["predictions"] = [own["prediction"] ?? .null, other["prediction"] ?? .null]
    members["scores"] = [.number(abs(change.first)), .number(abs(change.second))]
    return .object(members)
  }

  /// What was found, in a sentence: of the metric that changes go by.
  public var sentence: String {
    guard let metric, let figure = figures[metric] else { return "nothing to compare" }
    let difference = figure.difference
    let span = String(format: "95 %% between %+.3f and %+.3f", difference.low, difference.high)
    let course = String(format: "%@ goes from %.3f to %.3f", metric, figure.first, figure.second)
    guard let isBetter else {
      return String(format: "No difference beyond chance: %@ (%+.3f, %@).", course, difference.value, span)
    }
    let word = isBetter ? "better" : "worse"
    return String(format: "The second is %@: %@ (%+.3f, %@).", word, course, difference.value, span)
  }

  /// Whether the second is better by the metric that changes go by; nil where that may be chance.
  public var isBetter: Bool? {
    guard let metric, let difference = figures[metric]?.difference, difference.low > 0 || difference.high < 0 else {
      return nil
    }
    return (difference.value > 0) != Measurement.isBetterWhenLess(metric)
  }

  /// For the terminal: a row for each figure, the groups, and how many samples changed.
  public var lines: [String] {
    func text(_ value: Double) -> String { value.isNaN ? "–" : String(format: "%.4f", value) }
    func difference(_ interval: Interval) -> String {
      interval.value.isNaN ? "–" : String(format: "%+.4f [%+.4f, %+.4f]", interval.value, interval.low, interval.high)
    }
    func row(_ name: String, _ cells: [String], width: Int) -> String {
      let widths = [9, 9, 28, 8, 8, 8]
      return name + String(repeating: " ", count: max(0, width - name.count))
        + zip(cells, widths).map { String(repeating: " ", count: max(1, $1 - $0.count)) + $0 }.joined()
    }
    let names = Array(figures.keys) + groups.flatMap { column, groups in [column] + groups.keys.map { "  \($0)" } }
    let width = min(40, names.map(\.count).max() ?? 0) + 2
    var lines = [row("", ["first", "second", "second − first", "better", "worse", "same"], width: width)]
    for (name, figure) in figures {
      let tally = tallies[name].map { ["\($0.better)", "\($0.worse)", "\($0.same)"] } ?? []
      lines.append(
        row(name, [text(figure.first), text(figure.second), difference(figure.difference)] + tally, width: width))
    }
    for (column, groups) in groups {
      guard let metric else { break }
      lines.append("\(metric) by \(column)")
      for (value, group) in groups {
        guard let figure = group.figures[metric] else { continue }
        lines.append(
          row(
            "  \(value) (\(group.count))", [text(figure.first), text(figure.second), difference(figure.difference)],
            width: width))
      }
    }
    if let metric, isRightOrWrong {
      let chance = tallies[metric].map { String(format: "%.3g", $0.signTest) } ?? "–"
      lines.append(
        "\(metric): \(worse.count) of \(count) samples went from right to wrong, \(better.count) from wrong to right "
          + "(by chance alone at least as uneven: \(chance))")
    }
    if !leftOut.isEmpty { lines.append("not compared, as one report lacks them: \(leftOut.joined(separator: ", "))") }
    return lines + [sentence]
  }
}
