import Ground

/// The records of a source that are left when faulty ones are taken out, numbered anew from 0.
public struct KeptSamples: SampleSource {
  private let base: any SampleSource
  private let numbering: Numbering
  public let counts: [Int]

  /// - Parameter faults: of the records that are left out, ascending.
  /// - Throws: `Fault(.badData)` where a file has no other records; it names the first.
  public init(_ base: any SampleSource, without faults: [RecordFault]) throws {
    self.base = base
    let skipped = faults.map(\.index)
    numbering = Numbering(base.counts, without: skipped)
    var counts: [Int] = []
    var (start, next) = (0, 0)
    for count in base.counts {
      let first = next
      while next < skipped.count, skipped[next] < start + count { next += 1 }
      guard next - first < count else {
        let fault = faults[first].fault
        throw Fault(
          .badData, "every record of the file is faulty: \(fault.what)", at: fault.place,
          "correct the file or leave it out")
      }
      counts.append(count - (next - first))
      start += count
    }
    self.counts = counts
  }

  public func sample(_ index: Int) throws -> Sample { try base.sample(original(index)) }
  public func sample(_ index: Int, _ draw: RandomDraw) throws -> Sample { try base.sample(original(index), draw) }

  public func values(of columns: [String], _ index: Int) throws -> [String?] {
    try base.values(of: columns, original(index))
  }
  public func work(of index: Int) throws -> Int { try base.work(of: original(index)) }

  public func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
    findFaults(in: range, most: most, threads: threads) { _ = try sample($0) }
  }

  /// The number in the base of the record `kept` here.
  func original(_ kept: Int) -> Int { numbering.original(kept) }
}
