import Datasets
import OrderedCollections

/// The objectives of one step, each with its weight, and what flows back from each.
///
/// Where all objectives share one count and none looks beyond its micro-batch, micro-batches go through the model as they
/// come, and gradients are divided by the count in the end. Otherwise the counts of the whole global batch are known
/// first, and each objective's gradient starts from weight ÷ count.
struct Mixture {
  let objectives: [any Objective]
  let weights: [Double]
  /// Whether anything has to be known of the whole global batch before a gradient flows.
  let needsCounts: Bool
  /// d total / d sum of each objective, apart from ``scale(of:)``.
  private(set) var seeds: [Double]
  /// Of pair objectives, by place, once they are known.
  var outcomes: [Int: PairOutcome] = [:]
  /// d total / d logScale and bias of pair objectives, by place.
  var slopes: [Int: (scale: Double, bias: Double)] = [:]
  /// Over the global batch, once they are known.
  private(set) var counts: [Double]?

  init(_ objectives: [any Objective], step: Int) {
    self.objectives = objectives
    weights = objectives.map { $0.weight.weight(step: step) }
    needsCounts =
      objectives.contains { $0 is any PairObjective } || Set(objectives.map(\.counted)).count > 1
    seeds = objectives.count == 1 ? [1] : weights
  }

  /// Whether there are several objectives, whose gradients can be told apart.
  var isMixed: Bool { objectives.count > 1 }

  /// Takes up the counts of the global batch.
  mutating func know(_ counts: [Double]) {
    self.counts = counts
    guard needsCounts else { return }
    seeds = zip(weights, counts).map { $1 > 0 ? $0 / $1 : 0 }
  }

  /// The same with nothing flowing back but from one objective.
  func only(_ place: Int) -> Mixture {
    var copy = self
    for other in seeds.indices where other != place { copy.seeds[other] = 0 }
    return copy
  }

  /// What the gradients of all micro-batches together are multiplied with; 0: there are none.
  func scale(of counts: [Double]) -> Double {
    if needsCounts { return seeds.contains { $0 > 0 } ? 1 : 0 }
    guard counts[0] > 0, weights.contains(where: { $0 > 0 }) else { return 0 }
    return (isMixed ? 1 : weights[0]) / counts[0]
  }

  // MARK: Figures

  private func mean(_ total: Tally, _ place: Int) -> Double {
    total.counts[place] > 0 ? total.sums[place] / total.counts[place] : 0
  }

  func loss(_ total: Tally) -> Double {
    objectives.indices.reduce(0) { $0 + mean(total, $1) * weights[$1] }
  }

  func means(_ total: Tally) -> OrderedDictionary<String, Double> {
    OrderedDictionary(uniqueKeysWithValues: objectives.enumerated().map { ($1.name, mean(total, $0)) })
  }

  /// What the supervised tokens count together, where that is not their number; nil else.
  func weight(_ total: Tally) -> Double? {
    guard let place = objectives.firstIndex(where: { $0.counted == .tokens }) else { return nil }
    return total.counts[place] == total.supervised ? nil : total.counts[place]
  }

  /// The counts of objectives that do not count supervised tokens.
  func counts(_ total: Tally) -> OrderedDictionary<String, Int> {
    OrderedDictionary(
      uniqueKeysWithValues: objectives.enumerated().filter { $1.counted != .tokens }.map {
        ($1.name, Int(total.counts[$0]))
      })
  }
}

/// What is counted in a micro-batch, or in all of them.
struct Tally {
  var supervised = 0.0
  var tokens = 0.0
  var images = 0.0
  var hits = 0.0
  var misses = 0.0
  /// Of each objective.
  var sums: [Double]
  var counts: [Double]

  init(_ batch: Batch, _ objectives: [any Objective]) {
    (supervised, tokens, images) = (Double(batch.supervised), Double(batch.tokens), Double(batch.images))
    sums = objectives.map { _ in 0 }
    counts = objectives.map { $0.counted.count(in: batch) }
  }

  init(_ numbers: [Double]) {
    let width = (numbers.count - 5) / 2
    (supervised, tokens, images, hits, misses) = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
    sums = Array(numbers[5..<5 + width])
    counts = Array(numbers[(5 + width)...])
  }

  static func width(_ objectives: Int) -> Int { 5 + 2 * objectives }
  var numbers: [Double] { [supervised, tokens, images, hits, misses] + sums + counts }
}
