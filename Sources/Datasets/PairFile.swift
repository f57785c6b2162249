import Ground

/// A picture and what is said of it.
public struct PairRecord: Equatable, Sendable {
  /// Path of the picture.
  public let image: ImageLocation
  /// At least one.
  public let captions: [String]
  /// `file:line` of the record's first character.
  public let place: String
  /// Its number in the ``PairSet``.
  public let index: Int
  /// The members of the record that its layout does not use.
  public let metadata: JSON
}

/// One file of pictures and captions, `{"image", "text"}` in JSON, JSON Lines or CSV; `text` may be a list.
public struct PairSource: Sendable {
  private let file: any RecordContainer
  /// What tells them from others.
  public let mark: SourceMark
  private let images: ImageFolder
  private let text: String
  private static let image = "image"

  /// - Parameters:
  ///   - images: the folder that picture names are relative to.
  ///   - text: the name of the column that holds the captions.
  /// - Throws: `Fault(.badData)` for a CSV file without one of the columns; in JSON that shows in the records.
  public init(_ file: DataFile, images: String, text: String = "text") throws {
    self.file = file.records
    mark = file.mark
    self.images = ImageFolder(path: images.isEmpty ? "." : images)
    self.text = text
    guard let header = self.file.header else { return }
    for column in [PairSource.image, text] where !header.contains(column) {
      throw Fault(
        .badData,
        "no column '\(column)'\(didYouMean(column, among: header)); there are \(header.joined(separator: ", "))",
        at: "\(file.path):1", "name the column of the captions by the key text of the file's entry under data")
    }
  }

  public var path: String { file.path }
  public var count: Int { file.count }

  /// Record `number` of the file, from 0; `index` is the number that it is given.
  /// - Throws: `Fault` with `file:line`.
  public func record(_ number: Int, index: Int) throws -> PairRecord {
    let (place, stored) = (file.place(of: number), try file.record(number))
    let object = stored.json
    do {
      guard let members = object.object else {
        throw Fault(.badData, "the record is \(object.kindName), not an object", "write one object for each record")
      }
      func member(_ name: String) throws -> JSON {
        if let value = members[name] { return value }
        throw Fault(
          .badData, "no '\(name)'\(didYouMean(name, among: members.keys))",
          "give the record that key, or name the captions' by the key text of the file's entry under data")
      }
      let image = try member(PairSource.image)
      guard image.object != nil || image.string?.isEmpty == false else {
        throw Fault(
          .badData, "'\(PairSource.image)' is not the name of one picture", "name one picture for each record")
      }
      let written = try member(text)
      let captions = try (written.array ?? [written]).map { item in
        guard let caption = item.string else {
          throw Fault(.badData, "'\(text)' holds \(item.kindName), not a text", "make it a text, or a list of texts")
        }
        return caption
      }
      guard !captions.isEmpty else { throw Fault(.badData, "'\(text)' is an empty list", "give the picture a caption") }
      return PairRecord(
        image: try images.location(
          of: ImageReference(image, at: PairSource.image), stored.attachments, number: 1), captions: captions,
        place: place, index: index,
        metadata: object.without([PairSource.image, text]))
    } catch let fault as Fault {
      throw fault.relocated(to: place)
    }
  }
}

/// Several files of pictures and captions, one after another, under one running number from 0.
public struct PairSet: Sendable {
  public let sources: [PairSource]
  private var numbering: Numbering

  public init(_ sources: [PairSource]) {
    precondition(!sources.isEmpty, "PairSet: no source")
    self.sources = sources
    numbering = Numbering(sources.map(\.count))
  }

  public var count: Int { numbering.count }
  /// How many records each source has.
  public var counts: [Int] { numbering.counts }

  /// The records less faulty ones, numbered anew.
  /// - Throws: `Fault(.badData)` where none is left.
  public func without(_ faults: [RecordFault]) throws -> PairSet {
    var set = self
    set.numbering = try numbering.without(faults)
    return set
  }

  /// - Throws: `Fault` with `file:line`.
  public func record(_ index: Int) throws -> PairRecord {
    let (source, number) = numbering.place(of: index)
    return try sources[source].record(number, index: index)
  }
}
