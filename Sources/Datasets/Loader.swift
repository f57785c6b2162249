import Ground

/// Reads, decodes and encodes the micro-batches of one rank ahead of the step that trains on them.
///
/// Micro-batches come in order, step after step; a rank that has none in a step gets none for it. One thread takes them.
public final class Loader: Sendable {
  /// A micro-batch and where it belongs.
  public struct Delivery: Sendable {
    /// From 1.
    public let step: Int
    /// Its number among all micro-batches of the step, from 0.
    public let microBatch: Int
    public let batch: Batch
    /// How long the step had to wait for it.
    public let secondsWaited: Double
  }

  /// What runs ahead, and how far.
  public struct LookAhead: Sendable {
    public var threads: Int
    /// Micro-batches that are ready or in the making, at most.
    public var microBatches: Int
    /// Bytes of those that are ready, beyond which nothing more is begun.
    public var bytes: Int

    public init(threads: Int = 2, microBatches: Int = 16, bytes: Int = 512 << 20) {
      precondition(threads > 0 && microBatches > 0 && bytes > 0, "LookAhead: \(threads), \(microBatches), \(bytes)")
      self.threads = threads
      self.microBatches = microBatches
      self.bytes = bytes
    }
  }

  private let prefetcher: Prefetcher<(step: Int, microBatch: Int, batch: Batch)>

  /// Begins at once.
  /// - Parameters:
  ///   - steps: first step to deliver (1, or the one after a checkpoint) up to but not including the end.
  ///   - work: of each record, in any unit: samples of a global batch are dealt so that ranks have about as much; nil
  ///     leaves them in the sampler's order.
  ///   - makeSample: encodes the record of that number, for its place among all samples.
  public init(
    sampler: Sampler, plan: BatchPlan, steps: Range<Int>, rank: Int = 0, of ranks: Int = 1,
    lookAhead: LookAhead = LookAhead(), work: [Int32]? = nil,
    makeSample: @escaping @Sendable (_ record: Int, SamplePlace) throws -> Sample
  ) {
    precondition(steps.lowerBound >= 1, "Loader: steps begin at 1, not \(steps.lowerBound)")
    let mine = plan.microBatches(ofRank: rank, of: ranks)
    let order = BatchOrder(sampler, plan, work: work)
    prefetcher = Prefetcher(
      count: steps.count * mine.count, threads: lookAhead.threads,
      limits: .init(items: lookAhead.microBatches, bytes: lookAhead.bytes), size: { $0.batch.bytes }
    ) { number, isCancelled in
      let step = steps.lowerBound + number / mine.count
      let microBatch = mine.lowerBound + number % mine.count
      let first = plan.samples(ofMicroBatch: microBatch).lowerBound
      let samples = try order.records(step: step, microBatch: microBatch).enumerated().map { number, record in
        if isCancelled() { throw CancellationError() }
        return try makeSample(record, SamplePlace(step: step, sample: first + number))
      }
      return (step, microBatch, try Batch(samples))
    }
  }

  /// The same for samples that do not depend on their place.
  public convenience init(
    sampler: Sampler, plan: BatchPlan, steps: Range<Int>, rank: Int = 0, of ranks: Int = 1,
    lookAhead: LookAhead = LookAhead(), work: [Int32]? = nil,
    makeSample: @escaping @Sendable (_ record: Int) throws -> Sample
  ) {
    self.init(
      sampler: sampler, plan: plan, steps: steps, rank: rank, of: ranks, lookAhead: lookAhead, work: work,
      makeSample: { record, _ in try makeSample(record) })
  }

  /// The next micro-batch; nil after the last one, and once cancelled.
  /// - Throws: the `Fault` of a record, at the micro-batch that holds it; and again on every later call.
  public func next() throws -> Delivery? {
    guard let (item, waited) = try prefetcher.next() else { return nil }
    return Delivery(step: item.step, microBatch: item.microBatch, batch: item.batch, secondsWaited: waited)
  }

  /// The next micro-batch if it is ready; nil otherwise, and where ``next()`` would throw.
  public func nextIfReady() -> Delivery? {
    guard let item = prefetcher.nextIfReady() else { return nil }
    return Delivery(step: item.step, microBatch: item.microBatch, batch: item.batch, secondsWaited: 0)
  }

  /// Stops after the samples that are in the making, and returns when all threads have left. Letting go of the loader does the same.
  public func cancel() { prefetcher.cancel() }
}

/// Where a sample stands in training.
public struct SamplePlace: Equatable, Sendable {
  /// From 1.
  public let step: Int
  /// Its number in the global batch, from 0.
  public let sample: Int
}
