import Ground

/// Which record stands at which place of the endless stream of samples: a pure function of (seed, position).
///
/// A source of n records with weight w stands round(w · n) times, at least once, in every epoch: weight 1 is every
/// record once, 2 twice, 0.5 every second one, 0 none. No record of a source comes again before all others of that
/// source have come. With `shuffle` each epoch is a fresh permutation; without it, sources follow one another in
/// file order, and after the last record comes the first.
public struct Sampler: Sendable {
  /// Number of samples in an epoch: Σ round(w · n).
  public let epochLength: Int

  private struct Source {
    /// Number of its first record in the ``RecordSet``, and how many it has.
    let firstRecord: Int
    let records: Int
    /// Its first slot in an epoch, and how many slots it has.
    let firstSlot: Int
    let slots: Int
  }
  private let sources: [Source]
  private let shuffle: Bool
  private let seed: UInt64

  /// - Parameter counts: records of each source; `weights`: one for each.
  /// - Throws: `Fault(.badConfiguration)` for a weight that is negative, not finite or absurdly large, or when all are 0.
  public init(counts: [Int], weights: [Double], shuffle: Bool, seed: UInt64) throws {
    precondition(counts.count == weights.count, "Sampler: \(counts.count) sources, \(weights.count) weights")
    var sources: [Source] = []
    var (record, slot) = (0, 0)
    for (count, weight) in zip(counts, weights) {
      precondition(count > 0, "Sampler: a source of \(count) records")
      guard weight >= 0, weight * Double(count) < 1e15 else {
        throw Fault(.badConfiguration, "weight \(weight) of a data source", at: "data.train", "use a number from 0 up")
      }
      let slots = weight == 0 ? 0 : max(1, Int((weight * Double(count)).rounded()))
      sources.append(Source(firstRecord: record, records: count, firstSlot: slot, slots: slots))
      record += count
      slot += slots
    }
    guard slot > 0 else {
      throw Fault(.badConfiguration, "every data source has weight 0", at: "data.train", "give one of them a weight")
    }
    self.sources = sources
    epochLength = slot
    self.shuffle = shuffle
    self.seed = seed
  }

  public init(_ records: RecordSet, weights: [Double], shuffle: Bool, seed: UInt64) throws {
    try self.init(counts: records.sources.map(\.count), weights: weights, shuffle: shuffle, seed: seed)
  }

  /// The record of sample `sample` (from 0) in the global batch of step `step` (from 1).
  public func record(step: Int, sample: Int, globalBatch: Int) -> Int {
    precondition(step >= 1 && sample >= 0 && sample < globalBatch, "Sampler: sample \(sample) of step \(step)")
    return record(at: (step - 1) * globalBatch + sample)
  }

  /// The record at `position` (from 0) of the endless stream.
  public func record(at position: Int) -> Int {
    precondition(position >= 0, "Sampler: position \(position)")
    let (epoch, place) = position.quotientAndRemainder(dividingBy: epochLength)
    let slot = permuted(place, of: epochLength, stream: 0, round: epoch)
    let number = sources.lastIndex { $0.slots > 0 && $0.firstSlot <= slot } ?? 0
    let source = sources[number]
    let drawn = epoch * source.slots + (slot - source.firstSlot)
    let (pass, record) = drawn.quotientAndRemainder(dividingBy: source.records)
    return source.firstRecord + permuted(record, of: source.records, stream: number + 1, round: pass)
  }

  private func permuted(_ number: Int, of count: Int, stream: Int, round: Int) -> Int {
    guard shuffle else { return number }
    let key = scramble(scramble(scramble(seed) &+ UInt64(stream)) &+ UInt64(round))
    return KeyedPermutation(count: count, key: key)(number)
  }
}
