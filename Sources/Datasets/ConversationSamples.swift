import Ground

/// Conversations, as a chat model is trained on them.
public struct ConversationSamples: SampleSource {
  private let records: RecordSet
  private let processor: Processor
  private let decodes: Bool

  /// - Parameter decodes: whether a look for faults decodes every picture, rather than only see whether its file is whole.
  public init(_ records: RecordSet, _ processor: Processor, decodes: Bool = false) {
    self.records = records
    self.processor = processor
    self.decodes = decodes
  }

  public var counts: [Int] { records.counts }
  public func sample(_ index: Int) throws -> Sample { try processor.sample(records.record(index)) }
  public func sample(_ index: Int, _ draw: RandomDraw) throws -> Sample {
    try processor.sample(records.record(index), draw)
  }
  public func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
    records.faults(in: range, most: most, threads: threads) { [processor, decodes] record in
      if decodes { _ = try processor.sample(record) } else { try processor.check(record) }
    }
  }

  public func notes(_ sum: (Int) throws -> Int) throws -> [String] {
    let cut = try sum(processor.tally.count)
    guard cut > 0 else { return [] }
    let what = cut == 1 ? "1 region is" : "\(cut) regions are"
    return ["warning: \(what) cut by the image processor's crop: their boxes end at its edge"]
  }

  /// Whether a record has a picture is the column `modality`, unless it has one of that name.
  public func values(of columns: [String], _ index: Int) throws -> [String?] {
    let record = try records.record(index)
    return columns.map { column in
      record.metadata.text(at: column)
        ?? (column == "modality" ? record.images.isEmpty ? "text" : "image" : nil)
    }
  }

  public func work(of index: Int) throws -> Int {
    let text = try processor.encode(records.record(index))
    return text.ids.count + text.imagePositions.count
  }
}
