import OrderedCollections

/// How well one of several labels is given to each sample, from the probabilities of all labels.
public struct LabelScores: Equatable, Sendable {
  /// The number of the right label of each sample.
  public let truth: [Int]
  /// Of each sample, a probability for each label.
  public let probabilities: [[Double]]
  public let labels: Int

  public init(truth: [Int], probabilities: [[Double]], labels: Int) {
    precondition(truth.count == probabilities.count, "LabelScores: \(truth.count) samples, \(probabilities.count) rows")
    precondition(truth.allSatisfy((0..<labels).contains), "LabelScores: a label that is not one of \(labels)")
    precondition(probabilities.allSatisfy { $0.count == labels }, "LabelScores: a row without \(labels) probabilities")
    (self.truth, self.probabilities, self.labels) = (truth, probabilities, labels)
  }

  /// The most probable label of each sample, the first of several.
  public var predicted: [Int] {
    probabilities.map { row in row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 } }
  }

  /// `accuracy`, `balanced_accuracy`, `macro_f1`, `micro_f1`, `auroc` and `calibration_error`, all of 0…1.
  ///
  /// As scikit-learn and, for the last, torchmetrics compute them: of two labels `auroc` takes the second for positive,
  /// of more it is the mean over one against the rest, NaN where a label never or always holds.
  public var figures: OrderedDictionary<String, Double> { draws(Array(truth.indices)) }

  /// The ``figures`` of any samples, one as often as it is named; what can be done once is.
  public var draws: ([Int]) -> OrderedDictionary<String, Double> {
    let (truth, predicted) = (truth, predicted)
    let confidences = zip(probabilities, predicted).map { $0[$1] }
    let ranked = (labels == 2 ? [1] : Array(0..<labels)).map { label in
      RankedScores(probabilities.map { $0[label] }, isPositive: truth.map { $0 == label })
    }
    return { samples in
      let decisions = LabelDecisions(truth: samples.map { truth[$0] }, predicted: samples.map { predicted[$0] })
      var figures = decisions.figures
      figures["auroc"] = mean(ranked.map { $0.area(of: samples) })
      figures["calibration_error"] = calibrationError(
        confidences: samples.map { confidences[$0] }, isRight: samples.map { truth[$0] == predicted[$0] })
      return figures
    }
  }
}

/// The labels that samples have and those that a model gave them.
public struct LabelDecisions: Equatable, Sendable {
  public let truth: [Int]
  public let predicted: [Int]

  public init(truth: [Int], predicted: [Int]) {
    precondition(truth.count == predicted.count, "LabelDecisions: \(truth.count) samples, \(predicted.count) answers")
    (self.truth, self.predicted) = (truth, predicted)
  }

  /// `accuracy`, `balanced_accuracy` (the mean recall of the labels that occur), `macro_f1` (the mean over the labels
  /// that occur or were given) and `micro_f1` (here the accuracy); NaN over no samples.
  public var figures: OrderedDictionary<String, Double> {
    var counts: [Int: BinaryCounts] = [:]
    for (right, said) in zip(truth, predicted) {
      if right == said {
        counts[right, default: BinaryCounts()].truePositives += 1
      } else {
        counts[right, default: BinaryCounts()].falseNegatives += 1
        counts[said, default: BinaryCounts()].falsePositives += 1
      }
    }
    let labels = counts.keys.sorted().map { counts[$0] ?? BinaryCounts() }
    let hits = labels.reduce(0) { $0 + $1.truePositives }
    return [
      "accuracy": hits / Double(truth.count),
      "balanced_accuracy": mean(labels.filter { $0.positives > 0 }.map { $0.truePositives / $0.positives }),
      "macro_f1": mean(labels.map(\.f1)), "micro_f1": hits / Double(truth.count),
    ]
  }
}

/// How well each of several labels, which hold or not by themselves, is given.
public struct LabelSetScores: Equatable, Sendable {
  /// Of each sample, which labels hold.
  public let truth: [[Bool]]
  /// Of each sample, the probability of each label.
  public let probabilities: [[Double]]

  public init(truth: [[Bool]], probabilities: [[Double]]) {
    precondition(
      truth.map(\.count) == probabilities.map(\.count), "LabelSetScores: truth and probabilities differ in shape")
    (self.truth, self.probabilities) = (truth, probabilities)
  }

  /// `exact_match`, `micro_f1`, `macro_f1` and `auroc` (the mean over the labels) of what is more probable than 0.5.
  public var figures: OrderedDictionary<String, Double> { draws(Array(truth.indices)) }

  /// The ``figures`` of any samples, one as often as it is named; what can be done once is.
  public var draws: ([Int]) -> OrderedDictionary<String, Double> {
    let truth = truth
    let said = probabilities.map { $0.map { $0 > 0.5 } }
    let ranked = (truth.first?.indices ?? 0..<0).map { label in
      RankedScores(probabilities.map { $0[label] }, isPositive: truth.map { $0[label] })
    }
    return { samples in
      let counts = ranked.indices.map { label in
        samples.reduce(into: BinaryCounts()) { $0.add(said: said[$1][label], holds: truth[$1][label]) }
      }
      return [
        "exact_match": mean(samples.map { truth[$0] == said[$0] ? 1 : 0 }),
        "micro_f1": samples.isEmpty ? .nan : counts.reduce(BinaryCounts(), +).f1,
        "macro_f1": mean(counts.map(\.f1)), "auroc": mean(ranked.map { $0.area(of: samples) }),
      ]
    }
  }
}

/// The mean, NaN of nothing.
func mean(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(values.count) }
