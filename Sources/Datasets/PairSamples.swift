import Ground
import Synchronization

/// Pictures and captions, as two encoders are trained on them; of several captions each time another one is drawn.
public final class PairSamples: SampleSource {
  public let records: PairSet
  public let processor: PairProcessor
  private let decodes: Bool
  /// How many of the captions that were looked at are cut.
  private let cut = Atomic<Int>(0)

  /// - Parameter decodes: whether a look for faults decodes every picture, rather than only see whether its file is whole.
  public init(_ records: PairSet, _ processor: PairProcessor, decodes: Bool = false) {
    (self.records, self.processor, self.decodes) = (records, processor, decodes)
  }

  public var counts: [Int] { records.counts }

  /// With its first caption.
  public func sample(_ index: Int) throws -> Sample { try processor.sample(records.record(index), caption: 0) }

  public func sample(_ index: Int, _ draw: RandomDraw) throws -> Sample {
    let record = try records.record(index)
    return try processor.sample(record, caption: Int(draw.uniform(0) * Double(record.captions.count)))
  }

  public func values(of columns: [String], _ index: Int) throws -> [String?] {
    let metadata = try records.record(index).metadata
    return columns.map { metadata.text(at: $0) }
  }

  /// The tokens of the first caption; pictures are all alike.
  public func work(of index: Int) throws -> Int { try processor.ids(records.record(index).captions[0]).count }

  public func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
    findFaults(in: range, most: most, threads: threads) { index in
      let record = try self.records.record(index)
      do {
        for caption in record.captions {
          let ids = try self.processor.ids(caption)
          if ids.count >= self.processor.maxLength, try self.processor.cuts(caption) {
            self.cut.add(1, ordering: .relaxed)
          }
        }
        if self.decodes { _ = try self.processor.picture(record.image) } else { try record.image.check() }
      } catch let fault as Fault {
        throw fault.relocated(to: record.place)
      }
    }
  }

  public func notes(_ sum: (Int) throws -> Int) throws -> [String] {
    let all = try sum(cut.load(ordering: .relaxed))
    guard all > 0 else { return [] }
    return [
      "warning: \(all) caption\(all == 1 ? " is" : "s are") longer than \(processor.maxLength) tokens: "
        + "what comes behind is cut off"
    ]
  }
}
