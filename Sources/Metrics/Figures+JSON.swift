import Ground
import OrderedCollections

// How figures stand in reports; what is not defined is null.

extension MetricResult {
  /// `{"vqa": 0.6, …}`
  public var json: JSON { .object(figures.mapValues(JSON.number)) }
}

extension Interval {
  /// `{"value": …, "low": …, "high": …}`
  public var json: JSON { ["value": .number(value), "low": .number(low), "high": .number(high)] }
}

extension GroupFigures {
  /// `{"count": …, "figures": {"vqa": {"value", "low", "high"}, …}}`
  public var json: JSON { ["count": .integer(count), "figures": .object(figures.mapValues(\.json))] }
}

extension Drop {
  /// `{"inside": …, "outside": …, "drop": {"vqa": {"value", "low", "high"}, …}}`
  public var json: JSON {
    ["inside": inside.json, "outside": outside.json, "drop": .object(drop.mapValues(\.json))]
  }
}

extension Comparison {
  /// `{"difference": {…}, "better": …, "worse": …, "same": …, "sign_test": …}`
  public var json: JSON {
    [
      "difference": .object(difference.mapValues(\.json)), "better": .integer(better), "worse": .integer(worse),
      "same": .integer(same), "sign_test": .number(signTest),
    ]
  }
}

extension Fairness {
  /// `{"demographic_parity_difference", …, "groups": [{"value", "count", "positives", "negatives", "selection_rate", …}, …],
  /// "incomplete_groups"}`, each figure as its interval.
  /// - Parameter differences: ``differences(truth:decisions:groups:_:)`` of the same samples.
  public func json(_ differences: OrderedDictionary<String, Interval>) -> JSON {
    var members: OrderedDictionary<String, JSON> = differences.mapValues(\.json)
    members["groups"] = .array(
      rates.map { name, rates in
        var group: OrderedDictionary<String, JSON> = ["value": .string(name), "count": .integer(rates.count)]
        group["positives"] = .integer(Int(groups[name]?.positives ?? 0))
        group["negatives"] = .integer(Int(groups[name]?.negatives ?? 0))
        return .object(group.merging(rates.figures.mapValues(\.json)) { $1 })
      })
    members["incomplete_groups"] = .array(incompleteGroups.map(JSON.string))
    return .object(members)
  }
}
