/// The memory that one thread works with while it tokenises: symbols being merged, and known words.
///
/// Not for two threads at once; ``Tokenizer`` lends one to each call.
final class Workbench: @unchecked Sendable {
  var cache = WordCache()
  /// The word as it is taken apart, and after ``merge(with:)`` its tokens.
  var symbols: [WordToken] = []

  private var ranks: [UInt32] = []
  private var heap = MergeHeap()
  private var links: [(previous: Int32, next: Int32)] = []

  /// Up to here a plain search for the lowest rank is faster than a heap.
  private static let shortWord = 40

  /// Joins pairs of `symbols`, the lowest rank first and of equal ranks the leftmost, until none is left to join.
  func merge(with merges: MergeTable) {
    if symbols.count < 2 { return }
    if symbols.count <= Workbench.shortWord { mergeShort(merges) } else { mergeLong(merges) }
  }

  /// O(n²) in the number of symbols, with a small constant.
  private func mergeShort(_ merges: MergeTable) {
    var count = symbols.count
    ranks.removeAll(keepingCapacity: true)
    for index in 0..<count - 1 { ranks.append(merges.rank(symbols[index].id, symbols[index + 1].id)) }
    symbols.withUnsafeMutableBufferPointer { symbols in
      ranks.withUnsafeMutableBufferPointer { ranks in
        while count > 1 {
          var best = MergeTable.none
          var place = 0
          for index in 0..<count - 1 where ranks[index] < best {
            best = ranks[index]
            place = index
          }
          if best == MergeTable.none { break }
          symbols[place].id = merges.results[Int(best)]
          symbols[place].length += symbols[place + 1].length
          count -= 1
          for index in place + 1..<max(place + 1, count) {
            symbols[index] = symbols[index + 1]
            ranks[index - 1] = ranks[index]
          }
          if place > 0 { ranks[place - 1] = merges.rank(symbols[place - 1].id, symbols[place].id) }
          if place < count - 1 { ranks[place] = merges.rank(symbols[place].id, symbols[place + 1].id) }
        }
      }
    }
    symbols.removeLast(symbols.count - count)
  }

  /// O(n log n): a heap of possible merges over a linked list of symbols.
  private func mergeLong(_ merges: MergeTable) {
    let count = symbols.count
    links.removeAll(keepingCapacity: true)
    heap.removeAll()
    for index in 0..<count {
      links.append((Int32(index - 1), Int32(index + 1 < count ? index + 1 : -1)))
      if index + 1 < count { heap.append(rank: merges.rank(symbols[index].id, symbols[index + 1].id), at: index) }
    }
    heap.order()
    symbols.withUnsafeMutableBufferPointer { symbols in
      links.withUnsafeMutableBufferPointer { links in
        while let (rank, place) = heap.pop() {
          let next = Int(links[place].next)
          // A merge that was noted before one of its symbols was joined to another one.
          guard symbols[place].length > 0, next >= 0, merges.rank(symbols[place].id, symbols[next].id) == rank else {
            continue
          }
          symbols[place].id = merges.results[Int(rank)]
          symbols[place].length += symbols[next].length
          symbols[next].length = 0
          let after = Int(links[next].next)
          links[place].next = Int32(after)
          if after >= 0 {
            links[after].previous = Int32(place)
            heap.push(rank: merges.rank(symbols[place].id, symbols[after].id), at: place)
          }
          let before = Int(links[place].previous)
          if before >= 0 { heap.push(rank: merges.rank(symbols[before].id, symbols[place].id), at: before) }
        }
      }
    }
    symbols.removeAll { $0.length == 0 }
  }
}

/// A heap of merges: lowest rank first, and of equal ranks the leftmost.
private struct MergeHeap {
  /// Rank in the upper half, place in the lower one.
  private var items: [UInt64] = []

  mutating func removeAll() { items.removeAll(keepingCapacity: true) }

  /// Adds a merge without keeping the order; ``order()`` makes it good. No rank, no merge.
  mutating func append(rank: UInt32, at place: Int) {
    if rank != MergeTable.none { items.append(UInt64(rank) << 32 | UInt64(place)) }
  }

  /// Brings all items into heap order.
  mutating func order() { items.sort() }

  mutating func push(rank: UInt32, at place: Int) {
    if rank == MergeTable.none { return }
    items.append(UInt64(rank) << 32 | UInt64(place))
    var index = items.count - 1
    items.withUnsafeMutableBufferPointer { items in
      while index > 0, items[(index - 1) / 2] > items[index] {
        items.swapAt(index, (index - 1) / 2)
        index = (index - 1) / 2
      }
    }
  }

  mutating func pop() -> (rank: UInt32, place: Int)? {
    guard let top = items.first, let last = items.popLast() else { return nil }
    if !items.isEmpty {
      items.withUnsafeMutableBufferPointer { items in
        var index = 0
        while true {
          var child = 2 * index + 1
          if child >= items.count { break }
          if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
          if items[child] >= last { break }
          items[index] = items[child]
          index = child
        }
        items[index] = last
      }
    }
    return (UInt32(top >> 32), Int(UInt32(truncatingIfNeeded: top)))
  }
}
