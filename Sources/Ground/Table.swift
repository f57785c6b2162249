/// Rows as lines: the first column to the left, the others to the right, each as wide as its widest cell.
public func aligned(_ rows: [[String]]) -> [String] {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
  return rows.map { row in
    let cells = row.enumerated().map { column, cell in
      let space = String(repeating: " ", count: widths[column] - cell.count)
      return column == 0 ? cell + space : space + cell
    }
    let line = cells.joined(separator: "  ")
    return "  " + (line.lastIndex { $0 != " " }.map { String(line[...$0]) } ?? "")
  }
}
