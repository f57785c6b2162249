import Foundation
import Ground

/// What a row, or an item of a list in it, has in a column.
struct ParquetCells {
  let page: ParquetPage
  /// Places in the page: several where there are lists.
  let places: Range<Int>
  /// The number in the page of the first value of these places.
  let firstValue: Int

  func definition(_ place: Int) -> Int { page.definitions.isEmpty ? 0 : Int(page.definitions[place]) }
}

/// Puts a row together from its columns, as Dremel takes it apart (Melnik and others, 2010).
struct ParquetRow {
  let columns: [ParquetColumn]
  let place: String
  private(set) var attachments: [ImageLocation] = []

  init(columns: [ParquetColumn], place: String) { (self.columns, self.place) = (columns, place) }

  /// - Parameter cells: of all columns of the file.
  mutating func object(_ members: [ParquetNode], _ cells: [ParquetCells]) throws -> JSON {
    try members.reduce([:]) { object, member in object.setting(member.name, to: try value(of: member, cells)) }
  }

  private mutating func value(of node: ParquetNode, _ cells: [ParquetCells]) throws -> JSON {
    if node.isRepeated { return .array(try items(of: node, cells)) }
    let first = cells[node.leaves.lowerBound]
    guard !first.places.isEmpty else { throw ParquetSchema.damaged("the columns of a list differ in length") }
    if node.isOptional, first.definition(first.places.lowerBound) < node.definition { return .null }
    return try content(of: node, cells)
  }

  private mutating func content(of node: ParquetNode, _ cells: [ParquetCells]) throws -> JSON {
    switch node.content {
    case .leaf(let column):
      let own = cells[column]
      guard own.places.count == 1 else { throw ParquetSchema.damaged("a value has several places") }
      // Whether a group is there is asked of its first column: the others need not agree.
      guard own.page.definitions.isEmpty || own.definition(own.places.lowerBound) == columns[column].definition else {
        throw ParquetSchema.damaged("the column '\(columns[column].name)' has no value where its group has some")
      }
      return try value(own.page, own.firstValue, columns[column])
    case .group(let members):
      guard node.isList, let inner = members.first, inner.isRepeated else { return try object(members, cells) }
      return .array(try items(of: inner, cells, isWrapper: true))
    }
  }

  /// The items of a repeated node.
  /// - Parameter isWrapper: whether it is the middle of three levels of a list, whose only member is the item.
  private mutating func items(of node: ParquetNode, _ cells: [ParquetCells], isWrapper: Bool = false) throws -> [JSON] {
    let first = cells[node.leaves.lowerBound]
    guard !first.places.isEmpty else { throw ParquetSchema.damaged("the columns of a list differ in length") }
    guard first.definition(first.places.lowerBound) >= node.definition else { return [] }
    let split = try node.leaves.map { try ParquetRow.split(cells[$0], at: node.repetition, columns[$0]) }
    guard split.allSatisfy({ $0.count == split[0].count }) else {
      throw ParquetSchema.damaged("the columns of a list differ in length")
    }
    var inner: ParquetNode?
    if isWrapper, case .group(let members) = node.content, members.count == 1, !["array", "tuple"].contains(node.name) {
      inner = members[0]
    }
    return try split[0].indices.map { number in
      var own = cells
      for (leaf, parts) in zip(node.leaves, split) { own[leaf] = parts[number] }
      if let inner { return try value(of: inner, own) }
      return try content(of: node, own)
    }
  }

  /// The cells of each item of the list at nesting `level`.
  private static func split(_ cells: ParquetCells, at level: Int, _ column: ParquetColumn) throws -> [ParquetCells] {
    var items: [ParquetCells] = []
    var (start, value, firstValue) = (cells.places.lowerBound, cells.firstValue, cells.firstValue)
    for place in cells.places {
      if place > start, Int(cells.page.repetitions[place]) <= level {
        items.append(ParquetCells(page: cells.page, places: start..<place, firstValue: firstValue))
        (start, firstValue) = (place, value)
      }
      if cells.page.definitions.isEmpty || Int(cells.page.definitions[place]) == column.definition { value += 1 }
    }
    items.append(ParquetCells(page: cells.page, places: start..<cells.places.upperBound, firstValue: firstValue))
    return items
  }

  private mutating func value(_ page: ParquetPage, _ number: Int, _ column: ParquetColumn) throws -> JSON {
    switch page.values {
    case .booleans(let values): return .bool(values[number])
    case .integers(let values): return .integer(values[number])
    case .reals(let values): return .number(values[number])
    case .indices(let values, let dictionary): return try value(dictionary, Int(values[number]), column)
    case .bytes(let ranges):
      let bytes = page.body[ranges[number]]
      guard column.meaning != .bytes else {
        attachments.append(.bytes(Data(bytes), name: "\(place), column \(column.name)"))
        return ImageReference.json(attachment: attachments.count - 1)
      }
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw Fault(.badData, "the column '\(column.name)' is not UTF-8", "write the file again")
      }
      return column.meaning == .json ? try JSON(parsing: text, at: place) : .string(text)
    }
  }
}
