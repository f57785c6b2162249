import Ground

/// Something that is wrong, or may be, with a record, a picture or a whole set.
public struct Finding: Equatable, Sendable {
  public enum Severity: String, Sendable, CaseIterable {
    /// Training stops at it.
    case error
    case warning
  }

  public let kind: Kind
  /// The data file.
  public let file: String
  /// Nil for what is of a whole set.
  public let line: Int?
  /// What is wrong, without a full stop.
  public let message: String
  /// What can be done about it.
  public let remedy: String
  /// Number of the record in its set; nil for what is of a whole set.
  public let record: Int?

  public var severity: Severity { kind.severity }
  /// `file:line`
  public var place: String { line.map { "\(file):\($0)" } ?? file }

  /// - Parameter place: `file:line`, or a file alone.
  init(_ kind: Kind, at place: String, record: Int?, _ message: String, _ remedy: String? = nil) {
    self.kind = kind
    let colon = place.lastIndex(of: ":")
    line = colon.flatMap { Int(place[place.index(after: $0)...]) }
    file = line == nil ? place : String(place[..<(colon ?? place.endIndex)])
    self.message = message
    self.remedy = remedy ?? kind.remedy
    self.record = record
  }
}

extension Finding {
  /// What sort of thing it is; the raw value is its name in the report.
  public enum Kind: String, Sendable, CaseIterable {
    case malformedRecord = "malformed_record"
    case placeholderMismatch = "placeholder_mismatch"
    case missingImage = "missing_image"
    case truncatedImage = "truncated_image"
    case damagedImage = "damaged_image"
    case unreadableImage = "unreadable_image"
    case noSupervisedToken = "no_supervised_token"
    case tooLong = "too_long"
    case refusedByTemplate = "refused_by_template"
    case badLabel = "bad_label"
    case badRegion = "bad_region"

    case roleOrder = "role_order"
    case emptyTurn = "empty_turn"
    case cutText = "cut_text"
    case blankImage = "blank_image"
    case tinyImage = "tiny_image"
    case extremeAspect = "extreme_aspect"
    case duplicateImage = "duplicate_image"
    case nearDuplicateImage = "near_duplicate_image"
    case duplicateRecord = "duplicate_record"
    case nearDuplicateText = "near_duplicate_text"
    case conflictingAnswers = "conflicting_answers"
    case leakedImage = "leaked_image"
    case leakedText = "leaked_text"
    case shortcut = "shortcut"
    case imbalance = "imbalance"
    case outcomeGap = "outcome_gap"
    case missingStratum = "missing_stratum"
  }
}

extension Finding.Kind {
  private static let firstWarning = allCases.firstIndex(of: .roleOrder) ?? 0

  public var severity: Finding.Severity {
    (Finding.Kind.allCases.firstIndex(of: self) ?? 0) < Finding.Kind.firstWarning ? .error : .warning
  }

  /// Its name for readers.
  public var title: String { rawValue.replacing("_", with: " ") }

  /// What can be done about it.
  public var remedy: String {
    switch self {
    case .malformedRecord: "correct the record"
    case .placeholderMismatch: "name one picture for every <image>, in order"
    case .missingImage: "check the name and the images folder"
    case .truncatedImage, .damagedImage: "replace the file with a whole one"
    case .unreadableImage: "convert the picture to JPEG or PNG"
    case .noSupervisedToken: "add an answer or remove the record"
    case .tooLong: "shorten the record, or raise data.max_length as far as the model reads"
    case .refusedByTemplate: "write the conversation as the chat template wants it"
    case .badLabel: "correct the label"
    case .badRegion: "correct the region"
    case .roleOrder: "let user and assistant take turns, the assistant last"
    case .emptyTurn: "fill the turn or remove it"
    case .cutText: "shorten the text or raise data.max_length"
    case .blankImage: "remove the record: there is nothing to see"
    case .tinyImage: "use the picture in its full size"
    case .extremeAspect: "crop the picture to what matters"
    case .duplicateImage: "keep one file, or check that the right one was copied"
    case .nearDuplicateImage: "keep one of them, unless both are wanted"
    case .duplicateRecord: "remove one of them"
    case .nearDuplicateText: "check that text and picture belong together"
    case .conflictingAnswers: "decide for one answer"
    case .leakedImage: "take the picture out of one of the two sets"
    case .leakedText: "take the text out of one of the two sets"
    case .shortcut: "balance the answers over the words that give them away, or reword the questions"
    case .imbalance: "add records with the rarer answers, or weigh them"
    case .outcomeGap: "check that the difference is real, and add records where it is not"
    case .missingStratum: "add such records, or do not claim anything about them"
    }
  }
}

extension Finding {
  /// What a fault met while a record was read means.
  init(reading fault: Fault, file: String, record: Int) {
    let isTag = ["image tag without image", "image without an image tag"].contains { fault.what.hasPrefix($0) }
    self.init(
      isTag ? .placeholderMismatch : .malformedRecord, at: fault.place ?? file, record: record, fault.what, fault.remedy
    )
  }

  /// What a fault met while a conversation was rendered and encoded means.
  /// - Parameter hasRegions: whether the record names parts of its pictures.
  init(encoding fault: Fault, at place: String, record: Int, hasRegions: Bool = false) {
    let kind: Kind =
      if fault.what.hasPrefix("no supervised token") {
        .noSupervisedToken
      } else if fault.what.contains("> max_length") {
        .tooLong
      } else if fault.what.hasPrefix("image placeholders") || fault.what.hasPrefix("a picture for") {
        .placeholderMismatch
      } else {
        hasRegions ? .badRegion : .refusedByTemplate
      }
    self.init(kind, at: place, record: record, fault.what, fault.remedy)
  }

  /// What a fault met while a picture was read means.
  init(picture fault: Fault, path: String, at place: String, record: Int) {
    let kind: Kind =
      if fault.kind == .missingInput {
        .missingImage
      } else if fault.what.hasPrefix("truncated") {
        .truncatedImage
      } else if fault.what.hasPrefix("damaged") {
        .damagedImage
      } else {
        .unreadableImage
      }
    let what = fault.what.contains(path) ? fault.what : "\(path): \(fault.what)"
    self.init(kind, at: place, record: record, what, fault.remedy)
  }
}
