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
    if b.dtype == .bfloat16, !aTransposed {
      multiply(cast(a, to: .bfloat16), b, transposed: bTransposed, scale: scale, adds: accumulator != nil, into: y)
      return y
    }
    let b = cast(b, to: .float32)
    let tile = ProductTile(m: m, n: n, wanted: (384, 384), multiples: (16, 16))
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
  /// y[m, n] = a[m, k] · op(b)[k, n] · scale (+ y) for bf16 a and b, with f32 sums.
  ///
  /// Activations are rounded to bf16 once for a product, so that every tile reads the same numbers; packing is
  /// cheap, so tiles are smaller than those of f32 products and even small products are shared by threads.
  private func multiply(_ a: Tensor, _ b: Tensor, transposed: Bool, scale: Float, adds: Bool, into y: Tensor) {
    let (n, k) = (y.width, a.width)
    let tile = ProductTile(m: y.rows, n: n, wanted: (192, 128), multiples: (6, 64))
    workers.run(tile.count) { piece in
      let (rows, columns) = tile[piece]
      let (x, to) = (a.halves + rows.lowerBound * k, y.floats + rows.lowerBound * n + columns.lowerBound)
      let weights = b.halves + columns.lowerBound * (transposed ? k : 1)
      switch bf16Products {
      case .native:
        mmd_product_bf16(
          transposed, rows.count, columns.count, k, scale, x, k, weights, b.width, adds, to, n)
      case .widened:
        let scratch = pool.storage(mmd_product_bf16_widened_scratch(rows.count, columns.count, k) * 4)
        mmd_product_bf16_widened(
          transposed, rows.count, columns.count, k, scale, x, k, weights, b.width, adds, to, n,
          scratch.address.assumingMemoryBound(to: Float.self))
      }
    }
  }
}

/// How products with bf16 weights are computed; both round inputs to bf16 and sum in f32.
public enum BF16Products: String, Sendable, CaseIterable {
  /// By the processor's own bf16 instruction.
  case native = "AVX512-BF16"
  /// By f32 products of weights that are widened tile by tile.
  case widened = "widened to f32"

  /// The faster one of those that this processor can do.
  public static var best: BF16Products { mmd_has_bf16() ? .native : .widened }
}

/// How a product's output [m, n] is cut into tiles: a function of its shape alone.
///
/// Tiles are as large as the caches like (packing costs less the larger they are), yet there are enough of
/// them for several threads to share.
struct ProductTile {
  let m, n, rowSize, columnSize: Int

  /// - Parameters: the sides that are `wanted`, and what they are `multiples` of, as the kernel's registers are.
  init(m: Int, n: Int, wanted: (rows: Int, columns: Int), multiples: (rows: Int, columns: Int)) {
    self.m = m
    self.n = n
    rowSize = ProductTile.side(m, wanted: wanted.rows, multiple: multiples.rows)
    columnSize = ProductTile.side(n, wanted: wanted.columns, multiple: multiples.columns)
  }

  /// The side that cuts `total` into equal parts of about `wanted`.
  private static func side(_ total: Int, wanted: Int, multiple: Int) -> Int {
    let parts = max(1, (total + wanted / 2) / wanted)
    return ((total + parts - 1) / parts + multiple - 1) / multiple * multiple
  }

  private var across: Int { (n + columnSize - 1) / columnSize }
  var count: Int { (m + rowSize - 1) / rowSize * across }

  subscript(piece: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let (row, column) = (piece / across * rowSize, piece % across * columnSize)
    return (row..<min(m, row + rowSize), column..<min(n, column + columnSize))
  }
}
