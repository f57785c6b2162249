import Features
import Foundation
import Ground
import Media
import Synchronization

/// Records with labels, as a classifier or a head on frozen features is trained on them.
public struct LabelledSamples: SampleSource {
  public let records: LabelledSet
  public let labels: LabelSet
  private let reader: any LabelledReader
  /// Where the features of whole records are kept; pictures of records that it knows are not even decoded.
  private let features: FeatureStore?
  private let decodes: Bool
  private let cut = CutCount()

  /// - Parameter decodes: whether a look for faults decodes every picture, rather than only see whether its file is whole.
  public init(
    _ records: LabelledSet, _ labels: LabelSet, _ reader: any LabelledReader, features: FeatureStore? = nil,
    decodes: Bool = false
  ) {
    (self.records, self.labels, self.reader, self.features) = (records, labels, reader, features)
    self.decodes = decodes
  }

  /// The same records, whose features are kept there.
  public func keeping(_ features: FeatureStore?) -> LabelledSamples {
    LabelledSamples(records, labels, reader, features: features, decodes: decodes)
  }

  public var counts: [Int] { records.counts }
  /// What makes pixels of pictures; nil where none are looked at.
  public var imageProcessor: ImageProcessor? { reader.pictures }
  /// What decides, beside records and weights, what the model gets to see.
  public var pictureSettings: String { reader.pictures?.settings ?? "" }

  public func sample(_ index: Int) throws -> Sample { try sample(records.record(index)) }

  func sample(_ record: LabelledRecord) throws -> Sample {
    do {
      let (tokens, label) = (try reader.tokens(of: record), try labels.target(of: record.label))
      var digests: [String] = []
      let files = try record.images.map { image in
        let file = try image.read()
        if features != nil { digests.append(file.withUnsafeBytes(Checksum.digits)) }
        return (path: image.name, file: file)
      }
      let key = features.map { _ in LabelledSamples.key(of: tokens, digests) }
      if let key, let known = features?.find(key) {
        return Sample(
          tokens, pictures: files.map { _ in .skipped }, label: label, feature: .known(known), place: record.place,
          index: record.index)
      }
      let pictures = try files.compactMap { path, file in
        try reader.pictures.map { PictureInput.pixels(try Pixels(file, at: path, $0), digest: nil) }
      }
      return Sample(
        tokens, pictures: pictures, label: label, feature: key.map { .wanted(key: $0) }, place: record.place,
        index: record.index)
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }

  /// A digest of what a model gets of a record.
  private static func key(of tokens: LabelledTokens, _ pictures: [String]) -> String {
    let checksum = Checksum()
    (tokens.ids + [-1] + tokens.types).withUnsafeBytes { checksum.add($0) }
    for digest in pictures { Array(digest.utf8).withUnsafeBytes(checksum.add) }
    return checksum.digits
  }

  public func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
    findFaults(in: range, most: most, threads: threads) { index in
      let record = try records.record(index)
      do {
        let count = try reader.tokens(of: record).ids.count
        _ = try labels.target(of: record.label)
        for image in record.images { try image.check(decodes: decodes, for: reader.pictures) }
        if try reader.cuts(record, to: count) { cut.value.add(1, ordering: .relaxed) }
      } catch let fault as Fault {
        throw fault.relocated(to: record.place)
      }
    }
  }

  /// How many tokens a record is, and whether some were cut off; its pictures are not looked at.
  /// - Throws: `Fault` without a place for a record without tokens or with a label that is not known.
  public func length(of record: LabelledRecord) throws -> (tokens: Int, isCut: Bool) {
    let count = try reader.tokens(of: record).ids.count
    _ = try labels.target(of: record.label)
    return (count, try reader.cuts(record, to: count))
  }

  public func work(of index: Int) throws -> Int {
    let tokens = try reader.tokens(of: records.record(index))
    return tokens.ids.count + tokens.imagePositions.count
  }

  /// The column of the label is one of them: classes can be balanced by it.
  public func values(of columns: [String], _ index: Int) throws -> [String?] {
    let record = try records.record(index)
    let label = records.labelColumn(of: index)
    return columns.map { $0 == label ? record.label.plain : record.metadata.text(at: $0) }
  }

  public func notes(_ sum: (Int) throws -> Int) throws -> [String] {
    let all = try sum(cut.value.load(ordering: .relaxed))
    let cutNote =
      all > 0
      ? ["warning: \(all) of \(count) texts are longer than \(reader.maxLength) tokens: their ends are cut off"] : []
    return records.sources.compactMap(\.note) + cutNote
  }
}

/// How many of the texts that were looked at are cut.
private final class CutCount: Sendable {
  let value = Atomic<Int>(0)
}
