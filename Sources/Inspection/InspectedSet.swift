import Datasets
import Ground
import Media

/// The data of one stage: what it trains on and, behind it, what it validates on.
public struct InspectedSet: Sendable {
  public enum Content: Sendable {
    case conversations(RecordSet, Processor)
    case labelled(LabelledSet, LabelledSamples)
    case pairs(PairSet, PairSamples)
  }

  /// Of the stage; empty where there is but one.
  public let name: String
  public let content: Content
  /// How many of its files are trained on; the others are for validation.
  public let trainingFiles: Int
  /// All that tokens and pictures depend on beside the records.
  public let settings: String
  /// The most tokens of a sample.
  public let maxLength: Int

  public init(name: String, _ content: Content, trainingFiles: Int, maxLength: Int, settings: String) {
    (self.name, self.content, self.trainingFiles) = (name, content, trainingFiles)
    (self.maxLength, self.settings) = (maxLength, settings)
  }
}

extension InspectedSet {
  var files: [(path: String, count: Int)] {
    switch content {
    case .conversations(let records, _): records.sources.map { ($0.path, $0.count) }
    case .labelled(let records, _): records.sources.map { ($0.path, $0.count) }
    case .pairs(let records, _): records.sources.map { ($0.path, $0.count) }
    }
  }
  /// What is to be said of the places that records lie in.
  var notes: [String] {
    if case .labelled(let records, _) = content { records.sources.compactMap(\.note) } else { [] }
  }
  /// What takes the pictures.
  var imageProcessor: ImageProcessor? {
    switch content {
    case .conversations(_, let processor): processor.vision?.processor
    case .labelled(_, let samples): samples.imageProcessor
    case .pairs(_, let samples): samples.processor.images
    }
  }
  var count: Int { files.reduce(0) { $0 + $1.count } }
  var trainingCount: Int { files.prefix(trainingFiles).reduce(0) { $0 + $1.count } }

  /// The file of a record.
  func file(of index: Int) -> String {
    var end = 0
    for file in files {
      end += file.count
      if index < end { return file.path }
    }
    return ""
  }

  /// What is said in a record, its pictures and its place; nil where it cannot be read.
  func told(_ index: Int) -> Told? {
    switch content {
    case .conversations(let records, _):
      guard let record = try? records.record(index) else { return nil }
      return Told(
        turns: record.turns.map { ($0.role.rawValue, $0.text) }, images: record.images, place: record.place)
    case .labelled(let records, _):
      guard let record = try? records.record(index) else { return nil }
      return Told(record)
    case .pairs(let records, _):
      guard let record = try? records.record(index) else { return nil }
      return Told(turns: record.captions.map { ("caption", $0) }, images: [record.image], place: record.place)
    }
  }

  struct Told {
    var turns: [(role: String, text: String)]
    var images: [ImageLocation] = []
    var place: String
  }
}

extension InspectedSet.Told {
  init(_ record: LabelledRecord) {
    let texts = (record.text.isEmpty && !record.images.isEmpty ? [] : [record.text]) + [record.pair].compactMap(\.self)
    self.init(
      turns: texts.map { ("text", $0) } + [("label", record.label.plain)], images: record.images,
      place: record.place)
  }

  /// The text whose likeness to others counts: of a record with pictures what is answered, of any other all of it.
  var comparedWords: [UInt32] {
    turns.filter {
      images.isEmpty ? $0.role != "label" && $0.role != "system" : $0.role == "assistant" || $0.role == "caption"
    }
    .flatMap { Words.hashes(of: $0.text) }
  }
}
