/// The probability that a positive sample scores higher than a negative one, a tie counted half (Hanley & McNeil 1982).
///
/// (Σ ranks of positives − p(p + 1)/2) / (p·n) with tied ranks averaged: the area under the ROC curve, as
/// `roc_auc_score` of scikit-learn. NaN where there are no positives, no negatives, or a score is NaN.
public func auroc(scores: [Double], isPositive: [Bool]) -> Double {
  precondition(scores.count == isPositive.count, "auroc: \(scores.count) scores, \(isPositive.count) labels")
  let ranked = RankedScores(scores, isPositive: isPositive)
  return ranked.area(of: Array(scores.indices))
}

/// Scores sorted once, so that the area under the curve of any draw of their samples takes one pass.
struct RankedScores {
  /// The place of each score among the different ones; nil where a score is NaN.
  private let ranks: [Int]?
  private let count: Int
  private let isPositive: [Bool]

  init(_ scores: [Double], isPositive: [Bool]) {
    self.isPositive = isPositive
    guard !scores.contains(where: \.isNaN) else {
      (ranks, count) = (nil, 0)
      return
    }
    var (ranks, rank, last) = ([Int](repeating: 0, count: scores.count), -1, -Double.infinity)
    for sample in scores.indices.sorted(by: { scores[$0] < scores[$1] }) {
      if rank < 0 || scores[sample] != last { (rank, last) = (rank + 1, scores[sample]) }
      ranks[sample] = rank
    }
    (self.ranks, count) = (ranks, rank + 1)
  }

  /// ``auroc(scores:isPositive:)`` of these samples, one as often as it is named.
  func area(of samples: [Int]) -> Double {
    let positives = samples.reduce(0) { $0 + (isPositive[$1] ? 1 : 0) }
    guard let ranks, positives > 0, positives < samples.count else { return .nan }
    // Of each positive the negatives below it, and half of those beside it.
    var (area, below) = (0.0, 0.0)
    for (positive, negative) in counts(of: samples, ranks) {
      area += positive * (below + negative / 2)
      below += negative
    }
    return area / (Double(positives) * below)
  }

  /// How many positives and negatives have each score, from the lowest on; scores that none has may be left out.
  private func counts(of samples: [Int], _ ranks: [Int]) -> [(positive: Double, negative: Double)] {
    var counts: [(positive: Double, negative: Double)] = []
    func add(_ sample: Int, at place: Int) {
      if isPositive[sample] { counts[place].positive += 1 } else { counts[place].negative += 1 }
    }
    // A small draw is sooner put in order than all scores are gone through.
    guard samples.count < count / 16 else {
      counts = Array(repeating: (0, 0), count: count)
      for sample in samples { add(sample, at: ranks[sample]) }
      return counts
    }
    var last: Int?
    for sample in samples.sorted(by: { ranks[$0] < ranks[$1] }) {
      if ranks[sample] != last { counts.append((0, 0)) }
      last = ranks[sample]
      add(sample, at: counts.count - 1)
    }
    return counts
  }
}
