/// A Parquet file of texts, put together level by level: what it says of itself need not be so.
struct WrittenParquet {
  typealias Runs = [(count: Int, level: UInt8)]

  /// A column, in one page without compression.
  struct Column {
    var path: [String]
    /// Levels; nil where the column has none.
    var repetitions: Runs?
    var definitions: Runs?
    var values: [String]
    /// What the page's header says.
    var places = 1
  }

  /// How many of `schema` stand below the root.
  var members: Int
  /// All elements but the root.
  var schema: [[UInt8]]
  var columns: [Column]
  var rows = 1
  /// Row groups, all of which are the same bytes.
  var groups = 1
  /// How many values the footer says each column has; nil: as many as its page says.
  var values: Int?

  var bytes: [UInt8] {
    var file = Array("PAR1".utf8)
    var chunks: [[UInt8]] = []
    for column in columns {
      let page = WrittenParquet.page(column)
      var about = ThriftWriter()
      about.add(1, 6)  // texts are byte arrays
      about.add(2, listOf: 5, [ThriftWriter.integer(0)])
      about.add(3, listOf: 8, column.path.map(ThriftWriter.text))
      about.add(4, 0)
      about.add(5, values ?? column.places)
      about.add(6, page.count)
      about.add(7, page.count)
      about.add(9, file.count)
      var chunk = ThriftWriter()
      chunk.add(2, file.count)
      chunk.add(3, fields: about.ended)
      chunks.append(chunk.ended)
      file += page
    }
    var group = ThriftWriter()
    group.add(1, listOf: 12, chunks)
    group.add(2, file.count)
    group.add(3, rows)
    var footer = ThriftWriter()
    footer.add(1, 1)
    footer.add(2, listOf: 12, [WrittenParquet.element("schema", members: members)] + schema)
    footer.add(3, rows * groups)
    footer.add(4, listOf: 12, [[UInt8]](repeating: group.ended, count: groups))
    return file + footer.ended + WrittenParquet.length(footer.ended.count) + Array("PAR1".utf8)
  }

  private static func page(_ column: Column) -> [UInt8] {
    var body: [UInt8] = []
    for levels in [column.repetitions, column.definitions] {
      guard let levels else { continue }
      let runs = levels.flatMap { ThriftWriter.varint(UInt64($0.count) << 1) + [$0.level] }
      body += length(runs.count) + runs
    }
    for value in column.values { body += length(value.utf8.count) + Array(value.utf8) }
    var about = ThriftWriter()
    about.add(1, column.places)
    about.add(2, 0)
    about.add(3, 3)
    about.add(4, 3)
    var header = ThriftWriter()
    header.add(1, 0)
    header.add(2, body.count)
    header.add(3, body.count)
    header.add(5, fields: about.ended)
    return header.ended + body
  }

  private static func length(_ count: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt32(count).littleEndian, Array.init)
  }

  /// A group of the schema.
  /// - Parameter repetition: 0 required, 1 optional, 2 repeated.
  static func element(_ name: String, repetition: Int = 0, members: Int, isList: Bool = false) -> [UInt8] {
    var element = ThriftWriter()
    element.add(3, repetition)
    element.add(4, text: name)
    element.add(5, members)
    if isList { element.add(6, 3) }
    return element.ended
  }

  /// A column of the schema.
  static func text(_ name: String, repetition: Int = 0) -> [UInt8] {
    var element = ThriftWriter()
    element.add(1, 6)
    element.add(3, repetition)
    element.add(4, text: name)
    element.add(6, 0)
    return element.ended
  }
}

/// Fields in Thrift's compact protocol, in the order of their numbers.
private struct ThriftWriter {
  private var bytes: [UInt8] = []
  private var last = 0

  var ended: [UInt8] { bytes + [0] }

  private mutating func begin(_ field: Int, _ type: UInt8) {
    bytes.append(UInt8(field - last) << 4 | type)
    last = field
  }

  mutating func add(_ field: Int, _ value: Int) {
    begin(field, 6)
    bytes += ThriftWriter.integer(value)
  }

  mutating func add(_ field: Int, text: String) {
    begin(field, 8)
    bytes += ThriftWriter.text(text)
  }

  mutating func add(_ field: Int, listOf type: UInt8, _ items: [[UInt8]]) {
    begin(field, 9)
    bytes += [0xF0 | type] + ThriftWriter.varint(UInt64(items.count)) + items.joined()
  }

  mutating func add(_ field: Int, fields: [UInt8]) {
    begin(field, 12)
    bytes += fields
  }

  static func varint(_ value: UInt64) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
  }

  static func integer(_ value: Int) -> [UInt8] { varint(UInt64(bitPattern: Int64(value << 1 ^ value >> 63))) }
  static func text(_ text: String) -> [UInt8] { varint(UInt64(text.utf8.count)) + Array(text.utf8) }
}
