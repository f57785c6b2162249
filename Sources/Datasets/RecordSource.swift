import Foundation
import Ground

/// One data file with its images folder: a list of ``Record``s, each read when it is asked for.
public struct RecordSource: Sendable {
  private let file: any RecordContainer
  private let images: ImageFolder
  /// The files that decide what the records are, apart from pictures.
  public let files: [String]
  private let format: (any RecordFormat)?

  /// Scans the file at `path` once.
  /// - Parameters:
  ///   - images: the folder that picture names are relative to; nil: the data file's own.
  ///   - format: a layout's name, or `auto`.
  /// - Throws: `Fault` when the file cannot be read, holds no record, or `format` is unknown.
  public init(path: String, images: String? = nil, format: String = "auto") throws {
    try self.init(DataFile(path), images: images ?? parentFolder(of: path), format: format)
  }

  /// The records of a file that is open already.
  public init(_ file: DataFile, images: String, format: String) throws {
    self.format = try file.format ?? RecordFormats.named(format)
    self.images = ImageFolder(path: images.isEmpty ? "." : images)
    self.file = file.records
    files = file.files
  }

  public var path: String { file.path }
  public var count: Int { file.count }

  /// Record `number` of the file, from 0; `index` is the number that it is given.
  /// - Throws: `Fault` with `file:line` when it is not a conversation with one picture for every tag.
  public func record(_ number: Int, index: Int? = nil) throws -> Record {
    let place = file.place(of: number)
    let stored = try file.record(number)
    let object = stored.json
    do {
      guard object.object != nil else {
        throw Fault(.badData, "the record is \(object.kindName), not an object", "write one object for each record")
      }
      let draft = try (format ?? RecordFormats.recognise(object)).read(object)
      let speaksOfRegions =
        RegionMembers.stand(in: object) || draft.turns.contains { RegionTags.stand(in: $0.text) }
      let regions = speaksOfRegions ? try RegionMembers(object, images: draft.images.count) : nil
      let turns = try regions.map { try RegionTags.read(draft.turns, $0) } ?? draft.turns
      try RecordSource.checkTags(turns, images: draft.images.count)
      return Record(
        id: object["id"].flatMap { $0.string ?? $0.integer?.description }, turns: turns,
        images: try draft.images.enumerated().map {
          try images.location(of: $1, stored.attachments, number: $0 + 1)
        }, place: place, index: index ?? number,
        metadata: object.without(draft.members.union(["id"]).union(regions == nil ? [] : RegionMembers.names)),
        rejected: try draft.rejected.map { turns in
          try regions.map { try RegionTags.read(turns, $0, isWhole: false) } ?? turns
        }, regions: regions?.regions ?? [])
    } catch let fault as Fault {
      throw fault.placed(at: place)
    }
  }

  /// What can be seen wrong with record `number` without decoding a picture or making a token.
  /// - Returns: the record, so that more can be asked of it.
  /// - Throws: `Fault` with `file:line`.
  @discardableResult
  public func check(_ number: Int, index: Int? = nil) throws -> Record {
    let record = try record(number, index: index)
    do {
      for image in record.images { try image.check() }
    } catch let fault as Fault {
      throw fault.placed(at: record.place)
    }
    return record
  }

  private static func checkTags(_ turns: [Turn], images: Int) throws {
    let tags = turns.reduce(0) { $0 + occurrences(of: Record.imageTag, in: $1.text).count }
    let counts =
      "\(tags) \(Record.imageTag) \(tags == 1 ? "tag" : "tags"), \(images) \(images == 1 ? "image" : "images")"
    if tags > images {
      throw Fault(.badData, "image tag without image: \(counts)", "name one image for every tag")
    }
    if tags < images {
      throw Fault(.badData, "image without an image tag: \(counts)", "put \(Record.imageTag) where the image belongs")
    }
  }
}
