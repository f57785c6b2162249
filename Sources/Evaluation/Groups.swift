import Datasets
import Foundation
import Ground
import Metrics
import OrderedCollections

/// The figures of the records that share a value of a column, each with how much it may owe to chance.
public struct Groups: Sendable {
  public struct Group: Sendable {
    /// The value, as text; "(none)" where records have none.
    public let value: String
    /// How many records have it.
    public let count: Int
    public let figures: OrderedDictionary<String, Double>
    public let intervals: OrderedDictionary<String, Interval>
  }

  /// A path in the records' other members, such as `patient.sex`.
  public let column: String
  /// The largest first.
  public let groups: [Group]

  /// - Parameters:
  ///   - values: of the column, one for each record.
  ///   - figures: the figures of some records, and the same with intervals, drawn for a group of that name.
  public init(
    _ column: String, _ values: [JSON?],
    figures: (_ records: [Int], _ group: String) -> (
      OrderedDictionary<String, Double>, OrderedDictionary<String, Interval>
    )
  ) {
    self.column = column
    var members: OrderedDictionary<String, [Int]> = [:]
    for (number, value) in values.enumerated() { members[Groups.text(value), default: []].append(number) }
    groups = members.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.map { value, records in
      let (found, intervals) = figures(records, value)
      return Group(value: value, count: records.count, figures: found, intervals: intervals)
    }
  }

  /// - Parameter values: of the column, one for each record.
  public init(_ column: String, _ values: [JSON?], _ measurements: [Measurement]) {
    self.init(column, values) { records, group in
      let all = measurements.map { $0.intervals(records, of: group) }
      return (
        measurements.reduce(into: [:]) { $0.merge($1.figures(records)) { $1 } },
        all.reduce(into: [:]) { $0.merge($1) { $1 } }
      )
    }
  }

  /// A value as the name of a group; "(none)" where there is none.
  public static func text(_ value: JSON?) -> String {
    switch value {
    case nil, .null?: "(none)"
    case .string(let text)?: text
    case let other?: other.description
    }
  }

  public var json: JSON {
    .array(
      groups.map { group in
        [
          "value": .string(group.value), "count": .integer(group.count),
          "metrics": .object(group.figures.mapValues(JSON.number)),
          "intervals": .object(group.intervals.mapValues(\.json)),
        ]
      })
  }

  /// A table for the terminal: a row for each group, a column for each metric with its interval.
  public var table: String {
    let names = groups.first.map { Array($0.intervals.keys) } ?? []
    let width = max(column.count, groups.map(\.value.count).max() ?? 0, 8) + 2
    return
      ([Groups.row(column, ["records"] + names, width: width)]
      + groups.map { group in
        Groups.row(
          group.value, ["\(group.count)"] + names.map { group.intervals[$0].map(Groups.cell) ?? "–" }, width: width)
      }).joined(separator: "\n")
  }

  /// "0.500 [0.400, 0.600]"; a dash where it is not defined.
  static func cell(_ interval: Interval) -> String {
    interval.value.isNaN ? "–" : String(format: "%.3f [%.3f, %.3f]", interval.value, interval.low, interval.high)
  }

  /// A name and cells of one width behind it.
  static func row(_ name: String, _ cells: [String], width: Int) -> String {
    name + String(repeating: " ", count: max(0, width - name.count))
      + cells.map { String(repeating: " ", count: max(1, 24 - $0.count)) + $0 }.joined()
  }
}
