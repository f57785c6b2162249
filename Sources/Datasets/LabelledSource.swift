import Ground

/// Records with labels that lie in one place, each read when it is asked for.
public protocol LabelledRecords: Sendable {
  var path: String { get }
  var count: Int { get }
  /// The column that labels stand in.
  var labelColumn: String? { get }
  /// What tells them from others.
  var mark: SourceMark { get }
  /// What is to be said of the place; nil where nothing is odd.
  var note: String? { get }
  /// Record `number` of the place, from 0; `index` is the number that it is given.
  /// - Throws: `Fault` with `file:line`.
  func record(_ number: Int, index: Int) throws -> LabelledRecord
}

/// Which columns of a file hold what.
public struct LabelColumns: Equatable, Sendable {
  /// Nil where texts are not read.
  public var text: String?
  /// Of a second text; nil for single ones.
  public var pair: String?
  /// Nil where labels are not asked for.
  public var label: String?
  /// Of the name of a picture, or of a list of names; nil where pictures are not read.
  public var image: String?
  /// Whether a record with a picture may lack its text.
  public var mayLackText: Bool

  public init(
    text: String? = "text", pair: String? = nil, label: String? = "label", image: String? = nil,
    mayLackText: Bool = false
  ) {
    (self.text, self.pair, self.label, self.image) = (text, pair, label, image)
    self.mayLackText = mayLackText
  }

  /// The columns that a CSV file must have: of a text and a picture one is enough where the text may be lacking.
  fileprivate func required(of header: [String]) -> [String] {
    var content = [text, image].compactMap(\.self)
    if content.count == 2 {
      let present = content.filter(header.contains)
      content = mayLackText && !present.isEmpty ? present : present.isEmpty ? [content[1]] : [content[0]]
    }
    return content + [pair, label].compactMap(\.self)
  }
}

/// One file of records with labels: of any kind.
public struct LabelledSource: LabelledRecords {
  private let file: any RecordContainer
  public let mark: SourceMark
  private let columns: LabelColumns
  private let images: ImageFolder

  /// - Parameter images: the folder that picture names are relative to.
  /// - Throws: `Fault` for a CSV file without one of the columns; in JSON that shows in the records.
  public init(_ file: DataFile, _ columns: LabelColumns, images: String = "") throws {
    self.file = file.records
    mark = file.mark
    self.columns = columns
    self.images = ImageFolder(path: images.isEmpty ? "." : images)
    guard let header = self.file.header else { return }
    for column in columns.required(of: header) where !header.contains(column) {
      throw Fault(
        .badData,
        "no column '\(column)'\(didYouMean(column, among: header)); there are \(header.joined(separator: ", "))",
        at: "\(file.path):1",
        "name the columns by the keys image, text, text_pair and label of the file's entry under data")
    }
  }

  public var path: String { file.path }
  public var count: Int { file.count }
  public var labelColumn: String? { columns.label }
  public var note: String? { nil }

  public func record(_ number: Int, index: Int) throws -> LabelledRecord {
    let (place, stored) = (file.place(of: number), try file.record(number))
    let object = stored.json
    do {
      guard object.object != nil else {
        throw Fault(.badData, "the record is \(object.kindName), not an object", "write one object for each record")
      }
      let images = try images(of: stored)
      return LabelledRecord(
        text: try text(of: object, besides: images),
        pair: try columns.pair.flatMap { try member($0, of: object).isNull ? nil : string($0, of: object) },
        images: images,
        label: try columns.label.map { column in
          try WrittenLabel(member(column, of: object), column: column, isText: file.header != nil)
        } ?? .list([]),
        place: place, index: index,
        metadata: object.without(
          [columns.text, columns.pair, columns.label, columns.image].compactMap(\.self)))
    } catch let fault as Fault {
      throw fault.relocated(to: place)
    }
  }

  /// The pictures of a record; without one only where a text can stand for it.
  private func images(of record: StoredRecord) throws -> [ImageLocation] {
    guard let column = columns.image else { return [] }
    let object = record.json
    let value = columns.text == nil ? try member(column, of: object) : object[column] ?? .null
    let names: [JSON]
    switch value {
    case .string(let name) where !name.isEmpty: names = [value]
    case .object: names = [value]
    case .array(let items): names = items
    case .null, .string: names = []
    default:
      throw Fault(.badData, "'\(column)' is \(value.kindName), not the name of a picture", "name a picture file")
    }
    guard !names.isEmpty || columns.text != nil else {
      throw Fault(.badData, "'\(column)' names no picture", "name the record's picture, or remove the record")
    }
    return try names.enumerated().map { index, name in
      guard name.object != nil || name.string?.isEmpty == false else {
        throw Fault(.badData, "'\(column)' holds \(name.kindName), not the name of a picture", "name picture files")
      }
      return try images.location(of: ImageReference(name, at: column), record.attachments, number: index + 1)
    }
  }

  private func text(of object: JSON, besides images: [ImageLocation]) throws -> String {
    guard let column = columns.text else { return "" }
    let isOptional = columns.mayLackText && !images.isEmpty
    return isOptional && object[column]?.isNull ?? true ? "" : try string(column, of: object)
  }

  private func member(_ column: String, of object: JSON) throws -> JSON {
    if let value = object[column] { return value }
    throw Fault(
      .badData, "no '\(column)'\(didYouMean(column, among: object.object.map { Array($0.keys) } ?? []))",
      "give the record that key, or name another under data")
  }

  private func string(_ column: String, of object: JSON) throws -> String {
    let value = try member(column, of: object)
    guard let text = value.string else {
      throw Fault(.badData, "'\(column)' is \(value.kindName), not a string", "make it a string")
    }
    return text
  }
}

/// Several sources of records with labels, one after another, under one running number from 0.
public struct LabelledSet: Sendable {
  public let sources: [any LabelledRecords]
  private var numbering: Numbering

  public init(_ sources: [any LabelledRecords]) {
    precondition(!sources.isEmpty, "LabelledSet: no source")
    self.sources = sources
    numbering = Numbering(sources.map(\.count))
  }

  public var count: Int { numbering.count }
  /// How many records each source has.
  public var counts: [Int] { numbering.counts }

  /// The records less faulty ones, numbered anew.
  /// - Throws: `Fault(.badData)` where none is left.
  public func without(_ faults: [RecordFault]) throws -> LabelledSet {
    var set = self
    set.numbering = try numbering.without(faults)
    return set
  }

  /// The column that the label of a record stands in.
  func labelColumn(of index: Int) -> String? { sources[numbering.place(of: index).source].labelColumn }

  /// - Throws: `Fault` with `file:line`.
  public func record(_ index: Int) throws -> LabelledRecord {
    let (source, number) = numbering.place(of: index)
    return try sources[source].record(number, index: index)
  }
}
