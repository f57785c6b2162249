import Ground

/// A column, or a group of columns, of a Parquet file.
struct ParquetNode: Sendable {
  indirect enum Content: Sendable {
    /// A column: its number among all columns.
    case leaf(Int)
    case group([ParquetNode])
  }

  let name: String
  let isOptional: Bool
  let isRepeated: Bool
  /// Whether the group stands for a list, or a map, of its only member's items.
  let isList: Bool
  /// How many optional and repeated nodes there are from the root to here, and how many repeated ones.
  let definition: Int
  let repetition: Int
  let content: Content
  /// The columns below.
  let leaves: Range<Int>
}

/// A column's type.
struct ParquetColumn: Sendable {
  enum Kind: Int, Sendable { case boolean, int32, int64, int96, float, double, bytes, fixed }
  enum Meaning: Sendable { case bytes, text, json }

  let name: String
  let kind: Kind
  /// Bytes of a value of a fixed number.
  let width: Int
  let meaning: Meaning
  private(set) var definition: Int
  private(set) var repetition: Int

  /// The same of values that are all there, once each.
  var withoutLevels: ParquetColumn {
    var column = self
    (column.definition, column.repetition) = (0, 0)
    return column
  }
}

/// What a Parquet file says of itself in its footer.
struct ParquetSchema: Sendable {
  /// Part of a column: where its pages are.
  struct Chunk: Sendable {
    let offset: UInt64
    let end: UInt64
    let codec: Int
    let values: Int

    var byteCount: UInt64 { end - offset }
  }

  private(set) var root: [ParquetNode] = []
  private(set) var columns: [ParquetColumn] = []
  /// For each row group its rows, and a chunk for each column.
  private(set) var groups: [(rows: Int, chunks: [Chunk])] = []

  /// - Parameter size: of the file, which no chunk may go beyond.
  /// - Throws: `Fault(.badData)` without a place.
  init(_ footer: ThriftValue, size: UInt64) throws {
    guard let elements = footer[2]?.list, let total = footer[3]?.integer, let groups = footer[4]?.list else {
      throw ParquetSchema.damaged("the footer lacks schema, rows or row groups")
    }
    guard (1...10_000).contains(elements.count) else { throw ParquetSchema.damaged("\(elements.count) columns") }
    var next = 1
    let children = elements[0][5]?.integer ?? 0
    root = try (0..<max(0, min(children, elements.count))).map { _ in
      try node(elements, &next, definition: 0, repetition: 0, path: [])
    }
    guard next == elements.count, !root.isEmpty, !columns.isEmpty else {
      throw ParquetSchema.damaged("the schema does not add up")
    }
    self.groups = try groups.map { try group($0, size: size) }.filter { $0.rows > 0 }
    guard self.groups.reduce(0, { $0 + $1.rows }) == total else { throw ParquetSchema.damaged("rows do not add up") }
  }

  static func damaged(_ what: String) -> Fault {
    Fault(.badData, "not a sound Parquet file: \(what)", "write the file again")
  }

  private mutating func node(
    _ elements: [ThriftValue], _ next: inout Int, definition: Int, repetition: Int, path: [String]
  ) throws -> ParquetNode {
    guard next < elements.count, path.count < 32 else { throw ParquetSchema.damaged("the schema is nested too deep") }
    let element = elements[next]
    next += 1
    let name = element[4]?.text ?? ""
    let kind = element[3]?.integer ?? 0
    let definition = definition + (kind == 0 ? 0 : 1)
    let repetition = repetition + (kind == 2 ? 1 : 0)
    let first = columns.count
    let content: ParquetNode.Content
    let count = element[5]?.integer ?? 0
    if count > 0 {
      guard count <= elements.count else { throw ParquetSchema.damaged("the schema does not add up") }
      content = .group(
        try (0..<count).map { _ in
          try node(elements, &next, definition: definition, repetition: repetition, path: path + [name])
        })
    } else {
      content = .leaf(columns.count)
      columns.append(try ParquetSchema.column(element, (path + [name]).joined(separator: "."), definition, repetition))
    }
    return ParquetNode(
      name: name, isOptional: kind == 1, isRepeated: kind == 2,
      isList: count == 1 && ParquetSchema.isList(element), definition: definition,
      repetition: repetition, content: content, leaves: first..<columns.count)
  }

  /// Whether a group is said to be a list or a map, which is a list of keys with values.
  private static func isList(_ element: ThriftValue) -> Bool {
    [1, 2, 3].contains(element[6]?.integer ?? 0) || element[10]?[2] != nil || element[10]?[3] != nil
  }

  private static func column(
    _ element: ThriftValue, _ name: String, _ definition: Int, _ repetition: Int
  ) throws -> ParquetColumn {
    guard let type = element[1]?.integer, let kind = ParquetColumn.Kind(rawValue: type) else {
      throw damaged("the column '\(name)' has no type")
    }
    let width = element[2]?.integer ?? 0
    guard kind != .fixed || (1...(1 << 20)).contains(width) else { throw damaged("the column '\(name)' has no width") }
    let (converted, logical) = (element[6]?.integer, element[10])
    let isText = converted == 0 || converted == 4 || logical?[1] != nil || logical?[4] != nil
    let isJSON = converted == 19 || logical?[12] != nil
    return ParquetColumn(
      name: name, kind: kind, width: kind == .int96 ? 12 : width,
      meaning: kind == .bytes && isText ? .text : kind == .bytes && isJSON ? .json : .bytes, definition: definition,
      repetition: repetition)
  }

  private func group(_ value: ThriftValue, size: UInt64) throws -> (rows: Int, chunks: [Chunk]) {
    guard let rows = value[3]?.integer, (0...(1 << 36)).contains(rows), let list = value[1]?.list,
      list.count == columns.count
    else { throw ParquetSchema.damaged("a row group lacks rows or columns") }
    let chunks = try zip(list, columns).map { item, column in
      guard item[1] == nil else {
        throw Fault(.badData, "the column '\(column.name)' is in another file", "write one file")
      }
      guard let data = item[3], let codec = data[4]?.integer, let values = data[5]?.integer, values >= 0,
        let bytes = data[7]?.integer, bytes >= 0, let first = data[9]?.integer
      else { throw ParquetSchema.damaged("the column '\(column.name)' has no place") }
      guard column.repetition == 0 ? values == rows : values >= rows else {
        throw ParquetSchema.damaged("the column '\(column.name)' has \(values) values in a group of \(rows) rows")
      }
      let start = [first, data[11]?.integer ?? 0].filter { $0 > 0 }.min() ?? 0
      guard start >= 4, bytes <= Int(size), start <= Int(size) - bytes else {
        throw ParquetSchema.damaged("the column '\(column.name)' goes beyond the file's end")
      }
      guard ParquetPage.codecs[codec] != nil else {
        let names = [3: "LZO", 4: "Brotli", 5: "LZ4", 7: "LZ4"]
        throw Fault(
          .badData, "the column '\(column.name)' is compressed with \(names[codec] ?? "codec \(codec)")",
          "write it with snappy, gzip or zstd")
      }
      return Chunk(offset: UInt64(start), end: UInt64(start + bytes), codec: codec, values: values)
    }
    return (rows, chunks)
  }
}
