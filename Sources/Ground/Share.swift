/// The contiguous part of `0..<count` that rank `rank` of `ranks` takes: [rank·count/ranks, (rank + 1)·count/ranks).
///
/// The parts follow each other without gaps and differ in size by at most one; some are empty where there are more
/// ranks than items.
public func share(of count: Int, rank: Int, of ranks: Int) -> Range<Int> {
  precondition(count >= 0 && rank >= 0 && rank < ranks, "share: rank \(rank) of \(ranks)")
  return rank * count / ranks..<(rank + 1) * count / ranks
}
