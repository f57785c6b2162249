import Ground

/// The run of micro-batches that a rank owns: [r·M/R, (r+1)·M/R) in whole numbers, for rank r of R and M = `count`.
///
/// The runs of all ranks follow each other without gaps. Where M < R some are empty; the last rank's never is.
public func microBatches(rank: Int, of ranks: Int, count: Int) -> Range<Int> {
  share(of: count, rank: rank, of: ranks)
}

extension Communicator {
  /// Records of `width` numbers, one for each of this rank's micro-batches, are gathered: on every rank the records of
  /// all `count` micro-batches of the global batch, in index order (`count · width` numbers).
  public func gatherMicroBatches(_ values: [Double], width: Int = 1, count microBatchCount: Int) throws -> [Double] {
    let run = microBatches(rank: rank, of: count, count: microBatchCount)
    precondition(
      values.count == run.count * width, "gatherMicroBatches: \(values.count) numbers for \(run.count) × \(width)")
    let size = width * MemoryLayout<Double>.size
    return try post("micro-batch records") { collectives in
      var all = [Double](repeating: 0, count: microBatchCount * width)
      all.replaceSubrange(run.lowerBound * width..<run.upperBound * width, with: values)
      let ranges = (0..<collectives.count).map { rank in
        let run = microBatches(rank: rank, of: collectives.count, count: microBatchCount)
        return run.lowerBound * size..<run.upperBound * size
      }
      try all.withUnsafeMutableBytes { try collectives.allGather($0, ranges: ranges) }
      return all
    }.wait()
  }

  /// The sums of such records over all micro-batches, added in index order: the same bits on any number of ranks.
  public func sumInOrder(_ values: [Double], width: Int = 1, count microBatchCount: Int) throws -> [Double] {
    let all = try gatherMicroBatches(values, width: width, count: microBatchCount)
    var sums = [Double](repeating: 0, count: width)
    for i in 0..<microBatchCount {
      for j in 0..<width { sums[j] += all[i * width + j] }
    }
    return sums
  }
}
