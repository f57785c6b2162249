/// How a product's output [m, n] is cut into tiles.
///
/// The kernels bring a strip of columns into panels once for all rows of a tile, and read those rows again for each
/// strip: a tile is as many rows as stay in the second cache and as few columns as pay for reading them.
struct ProductTile {
  let m, n, rowSize, columnSize: Int

  init(m: Int, n: Int, rowSize: Int) {
    (self.m, self.n, self.rowSize) = (m, n, rowSize)
    columnSize = n <= 256 ? 64 : 128
  }

  /// - Parameter threads: how many share the tiles; nil where sums depend on how they are cut.
  /// - Returns: how many rows a tile has.
  static func rowSize(m: Int, n: Int, threads: Int?) -> Int {
    func tile(parts: Int) -> ProductTile { ProductTile(m: m, n: n, rowSize: whole((m + parts - 1) / parts)) }
    var parts = max(1, (m + 132) / 264)
    guard let threads else { return tile(parts: parts).rowSize }
    while tile(parts: parts).across * parts < 4 * threads, m / (parts + 1) >= 48 { parts += 1 }
    // Of very many tiles the last is no long wait, and looking for better ones would be.
    if tile(parts: parts).count >= 32 * threads { return tile(parts: parts).rowSize }
    let choices = (parts...parts + min(threads, 16)).filter { $0 == parts || m / $0 >= 48 }.map(tile)
    let times = choices.map { $0.time(threads: threads) }
    return zip(choices, times).min { $0.1 < $1.1 }?.0.rowSize ?? choices[0].rowSize
  }

  /// How long threads take that go on to the next tile when they are done with one, in elements of the output: where they
  /// do not divide the tiles, some wait for the last.
  private func time(threads: Int) -> Int {
    let packing = 7  // rows that take as long as bringing a strip into panels
    var times = [Int](repeating: 0, count: threads)
    for piece in 0..<count {
      let (rows, columns) = self[piece]
      let first = times.indices.min { times[$0] < times[$1] } ?? 0
      times[first] += (rows.count + packing) * columns.count
    }
    return times.max() ?? 0
  }

  /// In blocks of as many rows as kernels sum together.
  static func whole(_ rows: Int) -> Int { (rows + 11) / 12 * 12 }

  private var across: Int { (n + columnSize - 1) / columnSize }
  var count: Int { (m + rowSize - 1) / rowSize * across }

  /// From the columns of a piece to those of the piece that its thread probably takes next.
  func columnsAhead(of piece: Int, threads: Int) -> Int {
    piece + threads < count ? self[piece + threads].columns.lowerBound - self[piece].columns.lowerBound : 0
  }

  subscript(piece: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let (row, column) = (piece / across * rowSize, piece % across * columnSize)
    return (row..<min(m, row + rowSize), column..<min(n, column + columnSize))
  }
}
