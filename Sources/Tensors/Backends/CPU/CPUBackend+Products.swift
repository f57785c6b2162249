import Kernels

extension CPUBackend {
  public func product(
    _ a: Tensor, transposed aTransposed: Bool, _ b: Tensor, transposed bTransposed: Bool, scale: Float,
    addingTo accumulator: Tensor?
  ) -> Tensor {
    let (m, k) = aTransposed ? (a.width, a.rows) : (a.rows, a.width)
    let (bk, n) = bTransposed ? (b.width, b.rows) : (b.rows, b.width)
    precondition(k == bk, "product: \(a.shape)\(aTransposed ? "ᵀ" : "") × \(b.shape)\(bTransposed ? "ᵀ" : "")")
    precondition(
      accumulator.map { $0.rows == m && $0.width == n } ?? true, "product: added to \(accumulator?.shape ?? [])")
    let y = accumulator ?? floats([m, n])
    guard m > 0, n > 0 else { return y }
    guard k > 0 else { return accumulator ?? zeros([m, n]) }
    let b = cast(b, to: .float32)
    let tile = ProductTile(m: m, n: n)
    workers.run(tile.count) { piece in
      let (rows, columns) = tile[piece]
      mmd_product(
        aTransposed, bTransposed, Int32(rows.count), Int32(columns.count), Int32(k), scale,
        a.floats + (aTransposed ? rows.lowerBound : rows.lowerBound * k), Int32(a.width),
        b.floats + (bTransposed ? columns.lowerBound * k : columns.lowerBound), Int32(b.width),
        accumulator == nil ? 0 : 1, y.floats + rows.lowerBound * n + columns.lowerBound, Int32(n))
    }
    return y
  }
}

/// How a product's output [m, n] is cut into tiles: a function of its shape alone.
///
/// Tiles are as large as the caches like (packing costs less the larger they are), yet there are enough of
/// them for several threads to share.
struct ProductTile {
  let m, n, rowSize, columnSize: Int

  init(m: Int, n: Int) {
    self.m = m
    self.n = n
    (rowSize, columnSize) = (ProductTile.side(m, wanted: 384), ProductTile.side(n, wanted: 384))
  }

  /// The side that cuts `total` into equal parts of about `wanted`, in multiples of 16.
  private static func side(_ total: Int, wanted: Int) -> Int {
    let parts = max(1, (total + wanted / 2) / wanted)
    return (((total + parts - 1) / parts) + 15) / 16 * 16
  }

  private var across: Int { (n + columnSize - 1) / columnSize }
  var count: Int { (m + rowSize - 1) / rowSize * across }

  subscript(piece: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let (row, column) = (piece / across * rowSize, piece % across * columnSize)
    return (row..<min(m, row + rowSize), column..<min(n, column + columnSize))
  }
}
