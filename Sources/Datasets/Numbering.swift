import Ground

/// The running numbers, from 0, of the records of several sources, less those that are left out.
struct Numbering: Sendable {
  /// Where each source begins among all records, and behind them their count.
  private let starts: [Int]
  /// The numbers among all records of those that are left out, ascending.
  private let skipped: [Int]

  init(_ counts: [Int], without skipped: [Int] = []) {
    starts = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    self.skipped = skipped
  }

  /// The same less the records that `faults` number here.
  /// - Throws: `Fault(.badData)` where none is left; it names the first fault.
  func without(_ faults: [RecordFault]) throws -> Numbering {
    guard let first = faults.first?.fault else { return self }
    guard faults.count < count else {
      throw Fault(
        .badData, "every record is faulty: \(first.what)", at: first.place, "correct the file or leave it out")
    }
    let counts = zip(starts, starts.dropFirst()).map { $1 - $0 }
    return Numbering(counts, without: (skipped + faults.map { original($0.index) }).sorted())
  }

  var count: Int { starts[starts.count - 1] - skipped.count }

  /// How many records of each source are left.
  var counts: [Int] {
    zip(starts, starts.dropFirst()).map { start, end in
      end - start - skipped.count { (start..<end).contains($0) }
    }
  }

  /// The source of record `index`, and its number there.
  func place(of index: Int) -> (source: Int, number: Int) {
    precondition(index >= 0 && index < count, "record \(index) of \(count)")
    let own = original(index)
    let source = starts.dropLast().lastIndex { $0 <= own } ?? 0
    return (source, own - starts[source])
  }

  /// The number among all records of the one that is number `kept` of those that are left: of `skipped[k] − k`, the
  /// records that are left before the k-th that is left out, as many are at most `kept` as are left out before it.
  func original(_ kept: Int) -> Int {
    var (low, high) = (0, skipped.count)
    while low < high {
      let middle = (low + high) / 2
      if skipped[middle] - middle <= kept { low = middle + 1 } else { high = middle }
    }
    return kept + low
  }
}
