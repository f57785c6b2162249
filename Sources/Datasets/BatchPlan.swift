import Ground

/// How the global batch of a step is cut into micro-batches by index, and who takes which.
public struct BatchPlan: Equatable, Sendable {
  /// Samples of an optimiser step over all ranks.
  public let globalBatch: Int
  /// Samples of a micro-batch; the last of a step may be smaller.
  public let microBatch: Int

  public init(globalBatch: Int, microBatch: Int) {
    precondition(globalBatch > 0 && microBatch > 0, "BatchPlan: \(globalBatch) by \(microBatch)")
    self.globalBatch = globalBatch
    self.microBatch = microBatch
  }

  /// Micro-batches of a step: ⌈global / micro⌉.
  public var microBatches: Int { (globalBatch - 1) / microBatch + 1 }

  /// Samples of micro-batch `number`, as indices into the global batch.
  public func samples(ofMicroBatch number: Int) -> Range<Int> {
    precondition(number >= 0 && number < microBatches, "BatchPlan: micro-batch \(number) of \(microBatches)")
    let start = number * microBatch
    return start..<start + min(microBatch, globalBatch - start)
  }

  /// The contiguous run of micro-batches that `rank` takes; runs differ by at most one.
  /// Empty for some ranks when there are more ranks than micro-batches.
  public func microBatches(ofRank rank: Int, of ranks: Int) -> Range<Int> {
    share(of: microBatches, rank: rank, of: ranks)
  }
}
