import OrderedCollections

/// How differently a yes-or-no decision treats groups of people.
public struct Fairness: Equatable, Sendable {
  /// The decisions by group, in the order of the first sample of each.
  public let groups: OrderedDictionary<String, BinaryCounts>

  /// - Parameters:
  ///   - truth: whether what is decided holds.
  ///   - decisions: whether the model says so.
  ///   - groups: the group of each sample.
  public init(truth: [Bool], decisions: [Bool], groups: [String]) {
    precondition(
      truth.count == decisions.count && truth.count == groups.count,
      "Fairness: \(truth.count) truths, \(decisions.count) decisions, \(groups.count) groups")
    var counts: OrderedDictionary<String, BinaryCounts> = [:]
    for (index, group) in groups.enumerated() {
      counts[group, default: BinaryCounts()].add(said: decisions[index], holds: truth[index])
    }
    self.groups = counts
  }

  /// max − min over groups of P(ŷ = 1), as fairlearn's; NaN without groups.
  public var demographicParityDifference: Double { value("demographic_parity_difference") }

  /// The larger of max − min of the true and of the false positive rates, as fairlearn's; NaN without groups.
  public var equalizedOddsDifference: Double { value("equalized_odds_difference") }

  private func value(_ name: String) -> Double { figures[name] ?? .nan }

  /// What fairlearn calls `demographic_parity_difference` and `…_ratio`, `equalized_odds_difference` and
  /// `equal_opportunity_difference`: max − min over groups of the selection rate and min ÷ max of it, the larger of
  /// max − min of true and false positive rates, and max − min of true positive rates; NaN without groups.
  ///
  /// A rate that is not defined, because nothing or everything holds in a group, counts as 0, as in fairlearn:
  /// ``incompleteGroups`` says where. The ratio is NaN where no group is selected from.
  public var figures: OrderedDictionary<String, Double> { Fairness.figures(of: groups.values) }

  private static func figures(of groups: some Collection<BinaryCounts>) -> OrderedDictionary<String, Double> {
    func ends(_ rate: (BinaryCounts) -> Double) -> (low: Double, high: Double) {
      let rates = groups.map(rate).map { $0.isNaN ? 0 : $0 }
      return (rates.min() ?? .nan, rates.max() ?? .nan)
    }
    let (selected, hits) = (ends(\.selectionRate), ends(\.truePositiveRate))
    let alarms = ends(\.falsePositiveRate)
    return [
      "demographic_parity_difference": selected.high - selected.low,
      "demographic_parity_ratio": selected.low / selected.high,
      "equalized_odds_difference": max(hits.high - hits.low, alarms.high - alarms.low),
      "equal_opportunity_difference": hits.high - hits.low,
    ]
  }

  /// The groups in which nothing or everything holds, so that one of their two rates is not defined.
  public var incompleteGroups: [String] {
    groups.filter { $0.value.positives == 0 || $0.value.negatives == 0 }.map(\.key)
  }

  /// Of each group the count and, with intervals of Wilson, `selection_rate`, `true_positive_rate`,
  /// `false_positive_rate` and `accuracy`; NaN where a rate is not defined.
  public var rates: OrderedDictionary<String, GroupFigures> {
    groups.mapValues { counts in
      GroupFigures(
        count: Int(counts.count),
        figures: [
          "selection_rate": .proportion(counts.truePositives + counts.falsePositives, of: counts.count),
          "true_positive_rate": .proportion(counts.truePositives, of: counts.positives),
          "false_positive_rate": .proportion(counts.falsePositives, of: counts.negatives),
          "accuracy": .proportion(counts.truePositives + counts.trueNegatives, of: counts.count),
        ])
    }
  }

  /// The ``figures`` with intervals of a bootstrap over samples; a group that is not drawn is not there.
  ///
  /// Differences of largest and smallest are never negative: of small groups both are above 0 by chance alone.
  public static func differences(
    truth: [Bool], decisions: [Bool], groups: [String], _ bootstrap: Bootstrap = Bootstrap()
  ) -> OrderedDictionary<String, Interval> {
    let names = OrderedSet(groups)
    let numbers = groups.map { names.firstIndex(of: $0) ?? 0 }
    let intervals = bootstrap.intervals(count: truth.count, named: "fairness") { indices in
      var counts = [BinaryCounts](repeating: BinaryCounts(), count: names.count)
      for index in indices { counts[numbers[index]].add(said: decisions[index], holds: truth[index]) }
      return Array(figures(of: counts.filter { $0.count > 0 }).values)
    }
    return OrderedDictionary(uniqueKeysWithValues: zip(figures(of: []).keys, intervals))
  }
}
