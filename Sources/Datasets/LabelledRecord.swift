import Ground

/// A text, a pair of texts or a picture, with its label as the data file has it.
public struct LabelledRecord: Equatable, Sendable {
  /// Empty where the record is a picture alone.
  public let text: String
  public let pair: String?
  /// Its pictures.
  public let images: [ImageLocation]
  public let label: WrittenLabel
  /// `file:line` of the record's first character; of a picture in a folder its path.
  public let place: String
  /// Its number in the ``LabelledSet``.
  public let index: Int
  /// The other columns of the record, as an object: `metadata.value(at: "patient.age")`.
  public let metadata: JSON

  public init(
    text: String = "", pair: String? = nil, images: [ImageLocation] = [], label: WrittenLabel, place: String,
    index: Int,
    metadata: JSON = [:]
  ) {
    self.metadata = metadata
    (self.text, self.pair, self.images, self.label) = (text, pair, images, label)
    (self.place, self.index) = (place, index)
  }
}

/// A label as a file writes it: a name, a number, or several of either.
public enum WrittenLabel: Equatable, Sendable {
  case name(String)
  /// The number of a label.
  case integer(Int)
  /// A number with a fraction, or written with one.
  case real(Double)
  case list([WrittenLabel])

  /// - Throws: `Fault(.badData)` without a place for what is none.
  init(_ json: JSON, column: String, isText: Bool) throws {
    switch json {
    case .string(let text) where isText: self = try WrittenLabel(text, column: column)
    case .string(let text): self = .name(text)
    case .integer(let number): self = .integer(number)
    case .number(let number): self = .real(number)
    case .bool(let flag): self = .integer(flag ? 1 : 0)
    case .array(let items):
      self = .list(
        try items.map { item in
          guard item.array == nil else { throw Fault(.badData, "'\(column)' is a list of lists", "give one list") }
          return try WrittenLabel(item, column: column, isText: false)
        })
    case .null, .object:
      throw Fault(.badData, "'\(column)' is \(json.kindName), not a label", "give a name, a number or a list of them")
    }
  }

  /// A label of a CSV file, where everything is text: a list in brackets, a number, or a name.
  private init(_ text: String, column: String) throws {
    guard !text.isEmpty else { throw Fault(.badData, "'\(column)' is empty", "give the record a label") }
    if text.hasPrefix("["), let list = try? JSON(parsing: text, at: column), list.array != nil {
      self = try WrittenLabel(list, column: column, isText: false)
    } else if let number = Int(text) {
      self = .integer(number)
    } else if let number = Double(text), number.isFinite, text.contains(where: \.isNumber) {
      self = .real(number)
    } else {
      self = .name(text)
    }
  }
}

extension WrittenLabel: CustomStringConvertible {
  /// As a file without quotes has it.
  public var plain: String { if case .name(let name) = self { name } else { description } }

  public var description: String {
    switch self {
    case .name(let name): "'\(name)'"
    case .integer(let number): "\(number)"
    case .real(let number): "\(number)"
    case .list(let items): "[\(items.map(\.description).joined(separator: ", "))]"
    }
  }
}
