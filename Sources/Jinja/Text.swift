/// A string as templates see it: Unicode scalars in UTF-8, compared bit by bit, that remembers where its pieces came from.
public struct Text: Sendable {
  /// Always valid UTF-8.
  private(set) var bytes: [UInt8]
  /// What is known about the origin of pieces: sorted, disjoint, never empty. Text outside of them came from the template.
  private(set) var runs: [Run]
  /// Whether it counts as HTML already, Python's `Markup`: what is added to it is escaped.
  private(set) var isMarkup = false

  /// Where a piece of text came from.
  struct Origin: Equatable, Sendable {
    /// The mark of the input string that the piece belongs to.
    var mark: Int?
    /// Whether the piece stands inside `{% generation %}`.
    var generated = false

    static let template = Origin(mark: nil)
  }

  /// A piece of one origin; offsets count UTF-8 bytes.
  struct Run: Equatable, Sendable {
    var start: Int
    var end: Int
    var origin: Origin
  }

  /// Longest string that a template may make, in bytes.
  static let longest = 1 << 24

  init(bytes: [UInt8], runs: [Run] = []) {
    self.bytes = bytes
    self.runs = runs
  }

  public init(_ string: String) {
    self.init(bytes: Array(string.utf8))
  }

  /// A string all of which carries `mark`.
  public init(_ string: String, mark: Int) {
    self.init(string)
    if !bytes.isEmpty { runs = [Run(start: 0, end: bytes.count, origin: Origin(mark: mark))] }
  }

  public var string: String { String(decoding: bytes, as: UTF8.self) }
  var isEmpty: Bool { bytes.isEmpty }
  /// The work of going through the text.
  var cost: Int { bytes.count >> 4 }
  var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }

  /// The same text with other bytes of the same number at the same places.
  func withBytes(_ other: [UInt8]) -> Text {
    precondition(other.count == bytes.count)
    var text = Text(bytes: other, runs: runs)
    text.isMarkup = isMarkup
    return text
  }

  /// The same text, counted as HTML.
  var markup: Text {
    var text = self
    text.isMarkup = true
    return text
  }

  /// The same text, all of it told to stand inside `{% generation %}`.
  var generated: Text {
    var builder = TextBuilder()
    for piece in pieces {
      builder.appendUnchecked(bytes[piece.start..<piece.end], Origin(mark: piece.origin.mark, generated: true))
    }
    return builder.text
  }

  /// The whole text as consecutive runs, those without known origin included.
  var pieces: [Run] {
    var all: [Run] = []
    var position = 0
    for run in runs {
      if run.start > position { all.append(Run(start: position, end: run.start, origin: .template)) }
      all.append(run)
      position = run.end
    }
    if position < bytes.count { all.append(Run(start: position, end: bytes.count, origin: .template)) }
    return all
  }

  /// The index of the first run that ends behind `offset`.
  private func firstRun(endingBehind offset: Int) -> Int {
    var (low, high) = (0, runs.count)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].end > offset { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// The origin of the byte at `offset`.
  func origin(at offset: Int) -> Origin {
    let index = firstRun(endingBehind: offset)
    return index < runs.count && runs[index].start <= offset ? runs[index].origin : .template
  }

  /// The piece between two byte offsets, with what is known of its origin.
  func slice(_ range: Range<Int>) -> Text {
    if range == 0..<bytes.count { return self }
    var clipped: [Run] = []
    for run in runs[firstRun(endingBehind: range.lowerBound)...] {
      if run.start >= range.upperBound { break }
      clipped.append(
        Run(
          start: max(run.start, range.lowerBound) - range.lowerBound,
          end: min(run.end, range.upperBound) - range.lowerBound, origin: run.origin))
    }
    var piece = Text(bytes: Array(bytes[range]), runs: clipped)
    piece.isMarkup = isMarkup
    return piece
  }
}

extension Text: Hashable {
  public static func == (a: Text, b: Text) -> Bool { a.bytes == b.bytes }
  public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

extension Text: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self.init(value) }
}

/// Collects a string piece by piece, with the origin of every piece.
struct TextBuilder {
  private var bytes: [UInt8] = []
  private var runs: [Text.Run] = []

  var count: Int { bytes.count }
  var text: Text { Text(bytes: bytes, runs: runs) }

  /// - Throws: `TemplateProblem` when the string gets longer than `Text.longest`.
  mutating func append(_ text: Text) throws {
    try reserve(text.bytes.count)
    for run in text.runs { note(run.origin, bytes.count + run.start, bytes.count + run.end) }
    bytes.append(contentsOf: text.bytes)
  }

  mutating func append(_ text: Text, _ range: Range<Int>) throws {
    try append(text.slice(range))
  }

  mutating func append(_ string: String) throws {
    try reserve(string.utf8.count)
    bytes.append(contentsOf: string.utf8)
  }

  mutating func append(_ piece: some Collection<UInt8>, _ origin: Text.Origin) throws {
    try reserve(piece.count)
    appendUnchecked(piece, origin)
  }

  mutating func appendUnchecked(_ piece: some Collection<UInt8>, _ origin: Text.Origin) {
    if piece.isEmpty { return }
    if origin != .template { note(origin, bytes.count, bytes.count + piece.count) }
    bytes.append(contentsOf: piece)
  }

  private mutating func note(_ origin: Text.Origin, _ start: Int, _ end: Int) {
    if let last = runs.last, last.end == start, last.origin == origin {
      runs[runs.count - 1].end = end
    } else {
      runs.append(Text.Run(start: start, end: end, origin: origin))
    }
  }

  private func reserve(_ more: Int) throws {
    if bytes.count + more > Text.longest { throw TemplateProblem("it makes a string of more than 16 MiB") }
  }
}

/// What is wrong in a template or went wrong while it ran, before the line is known.
struct TemplateProblem: Error {
  var message: String
  /// Whether the template itself refused its input with `raise_exception`.
  var isRefusal = false

  init(_ message: String, isRefusal: Bool = false) {
    self.message = message
    self.isRefusal = isRefusal
  }
}
