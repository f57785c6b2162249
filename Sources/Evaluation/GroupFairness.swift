import Foundation
import Ground
import Metrics
import OrderedCollections

/// How differently the outcomes of a model fall on the groups of a column.
public struct GroupFairness: Sendable {
  /// One outcome against all others.
  public struct Part: Sendable {
    public let outcome: String
    public let fairness: Fairness
    /// The figures of ``Fairness`` with intervals.
    public let differences: OrderedDictionary<String, Interval>
  }

  /// A path in the records' other members, such as `patient.sex`.
  public let column: String
  public let parts: [Part]
  /// Records without a value of the column, which belong to no group.
  public let leftOut: Int

  /// - Parameter values: of the column, one for each record.
  public init(_ column: String, _ values: [JSON?], _ outcomes: [Outcome]) {
    let members = values.indices.filter { !(values[$0]?.isNull ?? true) }
    let groups = members.map { Groups.text(values[$0]) }
    self.column = column
    leftOut = values.count - members.count
    parts = outcomes.map { outcome in
      let (truth, said) = (members.map { outcome.truth[$0] }, members.map { outcome.decisions[$0] })
      return Part(
        outcome: outcome.name, fairness: Fairness(truth: truth, decisions: said, groups: groups),
        differences: Fairness.differences(truth: truth, decisions: said, groups: groups))
    }
  }

  /// Each figure where it is worst: the largest difference and the smallest ratio over all outcomes.
  ///
  /// Outcomes that always or never hold in a group have no true or no false positive rate there, and the difference that
  /// follows says little: where there are others, odds and opportunity are of those.
  public var worst: OrderedDictionary<String, Double> {
    let whole = parts.filter { $0.fairness.incompleteGroups.isEmpty }
    return GroupFairness.worst(
      parts.map(\.fairness.figures), of: ["demographic_parity_difference", "demographic_parity_ratio"]
    ).merging(
      GroupFairness.worst(
        (whole.isEmpty ? parts : whole).map(\.fairness.figures),
        of: ["equalized_odds_difference", "equal_opportunity_difference"])
    ) { $1 }
  }

  private static func worst(
    _ all: [OrderedDictionary<String, Double>], of names: [String]
  ) -> OrderedDictionary<String, Double> {
    names.reduce(into: [:]) { result, name in
      let values = all.compactMap { $0[name] }.filter { !$0.isNaN }
      result[name] = (name.hasSuffix("_ratio") ? values.min() : values.max()) ?? .nan
    }
  }

  /// The report's `fairness`: the worst figures over all columns, and each column with its outcomes.
  public static func json(_ columns: [GroupFairness]) -> JSON {
    let all = columns.map(\.worst)
    var members = worst(all, of: all.first.map { Array($0.keys) } ?? []).mapValues(JSON.number)
    members["columns"] = .object(
      OrderedDictionary(
        columns.map { own -> (String, JSON) in
          var column = own.worst.mapValues(JSON.number)
          column["without_group"] = .integer(own.leftOut)
          column["outcomes"] = .object(
            OrderedDictionary(
              own.parts.map { ($0.outcome, $0.fairness.json($0.differences)) }, uniquingKeysWith: { $1 }))
          return (own.column, .object(column))
        }, uniquingKeysWith: { $1 }))
    return .object(members)
  }

  /// For the terminal: a row for each group and the differences between them, of the outcome where the model's yes falls
  /// most differently.
  public var lines: [String] {
    func difference(_ part: Part) -> Double { part.fairness.demographicParityDifference }
    guard let part = parts.max(by: { difference($0) < difference($1) }) else { return [] }
    let names = ["says so", "true positives", "false positives"]
    var lines = [Groups.row("says \(part.outcome)", ["records"] + names, width: width)]
    for (group, rates) in part.fairness.rates {
      let cells = ["selection_rate", "true_positive_rate", "false_positive_rate"].map { name in
        rates.figures[name].map(Groups.cell) ?? "–"
      }
      lines.append(Groups.row(group, ["\(rates.count)"] + cells, width: width))
    }
    func figure(_ name: String) -> String { part.differences[name].map(Groups.cell) ?? "–" }
    lines.append(
      "demographic parity difference \(figure("demographic_parity_difference")), "
        + "ratio \(figure("demographic_parity_ratio")); "
        + "equalised odds difference \(figure("equalized_odds_difference"))")
    let incomplete = part.fairness.incompleteGroups
    if !incomplete.isEmpty {
      lines.append(
        "'\(part.outcome)' holds of none or of all records of \(column) \(incomplete.joined(separator: ", ")): "
          + "a rate that is not known there counts as 0")
    }
    if parts.count > 1 {
      lines.append(
        "of \(parts.count) answers, each against all others, the one that \(column) parts most; the report has all, "
          + "--positive names one")
    }
    return lines
  }

  private var width: Int {
    let names = parts.flatMap { ["says \($0.outcome)"] + $0.fairness.groups.keys }
    return (names.map(\.count).max() ?? 0) + 2
  }
}
