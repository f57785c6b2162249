import Datasets
import Ground
import Models
import RunFile

/// What of records with labels a model reads.
public enum LabelContent: Sendable {
  case text, picture
  /// A picture, a text or both.
  case pictureAndText
}

/// Data files that are open: conversations, records with labels, or pictures with captions.
public enum OpenData: Sendable {
  case conversations(RecordSet)
  case labelled(LabelledSet)
  case pairs(PairSet)

  /// Opens the files that a list of the run file names, at the key `key`.
  /// - Parameter areForDual: whether they are for a dual encoder, which reads pictures with captions.
  /// - Throws: `Fault` for files that cannot be read, or are not all of one kind.
  public init(
    _ sources: [DataSource], areForDual: Bool = false, at key: String, reading content: LabelContent,
    cache: CacheFolder? = nil
  ) throws {
    if areForDual {
      if let odd = sources.first(where: { ![.auto, .pairs].contains($0.format) }) {
        throw Fault(
          .badConfiguration, "format \(odd.format.rawValue) is not for a model that compares pictures with captions",
          at: key, "give it records of the form {\"image\", \"text\"} (format: pairs)")
      }
      self = .pairs(
        PairSet(
          try sources.map {
            try PairSource(DataFile($0.path, dataset: $0.dataset, cache: cache), images: $0.images, text: $0.text)
          }))
      return
    }
    let files = try sources.map { source in
      // Of a folder the names of its folders are the labels, unless it has a file that says what its pictures are.
      let file =
        isFolder(source.path) && !DataFile.hasMetadata(source.path)
        ? nil : try DataFile(source.path, dataset: source.dataset, cache: cache)
      let isLabelled =
        source.format == .auto
        ? file?.looksLabelled(source.columns(of: .pictureAndText)) ?? true : source.format == .classification
      return (source: source, file: file, isLabelled: isLabelled)
    }
    if let odd = files.first(where: { $0.isLabelled != files[0].isLabelled }) {
      throw Fault(
        .badConfiguration,
        "'\(files[0].source.path)' holds \(files[0].isLabelled ? "records with labels" : "conversations"), "
          + "'\(odd.source.path)' does not", at: key, "train on files of one kind, or name their format")
    }
    if files[0].isLabelled {
      self = .labelled(
        LabelledSet(try files.map { try OpenData.records($0.source, $0.file, at: key, reading: content) }))
    } else {
      self = .conversations(
        RecordSet(
          try files.map {
            try RecordSource(
              $0.file ?? DataFile($0.source.path), images: $0.source.images, format: $0.source.format.rawValue)
          }))
    }
  }

  /// - Parameter file: nil for a folder.
  private static func records(
    _ source: DataSource, _ file: DataFile?, at key: String, reading content: LabelContent
  ) throws -> any LabelledRecords {
    guard content == .text || source.textPair == nil else {
      throw Fault(
        .badConfiguration, "'text_pair' is for models of text alone, and this one sees pictures", at: key,
        "join the two texts in one column")
    }
    if let file { return try LabelledSource(file, source.columns(of: content), images: source.images) }
    guard content != .text else {
      throw Fault(
        .badConfiguration, "'\(source.path)' is a folder of pictures, and the model reads texts", at: key,
        "give the run file a head and a model that sees pictures, or name a file of texts")
    }
    return try ClassFolder(source.path)
  }
}

extension OpenData {
  /// The records less faulty ones, numbered anew.
  /// - Throws: `Fault(.badData)` where none is left.
  public func without(_ faults: [RecordFault]) throws -> OpenData {
    switch self {
    case .conversations(let records): .conversations(try records.without(faults))
    case .labelled(let records): .labelled(try records.without(faults))
    case .pairs(let records): .pairs(try records.without(faults))
    }
  }

  /// The files that decide what the records are, apart from pictures.
  var files: [String] {
    switch self {
    case .conversations(let records): records.sources.flatMap(\.files)
    case .labelled(let records): records.sources.map(\.path)
    case .pairs(let records): records.sources.map(\.path)
    }
  }
}

extension DataSource {
  /// A text column of another name than usual must be there.
  func columns(of content: LabelContent) -> LabelColumns {
    LabelColumns(
      text: content == .picture ? nil : text, pair: textPair, label: label, image: content == .text ? nil : image,
      mayLackText: text == DataSource().text)
  }
}

extension RunConfiguration {
  /// What of records with labels is read: pictures by a head on a model that sees them, texts by any other.
  public func labelContent(for folder: ModelFolder) -> LabelContent {
    guard let head, folder.seesPictures else { return .text }
    return head.on == .language ? .pictureAndText : .picture
  }
}
