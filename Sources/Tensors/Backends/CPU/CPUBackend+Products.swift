import Foundation
import Kernels

extension CPUBackend {
  public func product(_ terms: [ProductTerm], scale: Float, start: ProductStart, into target: Factor) {
    let (m, n) = (target.rows, target.width)
    precondition(
      !target.isTransposed && terms.allSatisfy { $0.a.rows == m && $0.b.width == n },
      "product: \(terms.map { "[\($0.a.rows), \($0.b.width)]" }) → [\(m), \(n)]")
    guard m > 0, n > 0 else { return }
    let c = matrix(target)
    let to = UnsafeMutablePointer(mutating: c.at.assumingMemoryBound(to: Float.self))
    let from: (at: UnsafePointer<Float>, stride: Int)? =
      switch start {
      case .zero: nil
      case .row(let row): (UnsafePointer(cast(row, to: .float32).floats), 0)
      case .rows(let rows): (UnsafePointer(rows.floats), n)
      case .target: (UnsafePointer(to), c.row_stride)
      }
    let prepared = terms.map(prepared)
    let tile = tile(m: m, n: n)
    workers.run(tile.count) { [kernel] piece in
      let (rows, columns) = tile[piece]
      withUnsafeTemporaryAllocation(of: mmd_term.self, capacity: prepared.count) { own in
        for (index, term) in prepared.enumerated() {
          own[index] = term.tile(down: rows.lowerBound, right: columns.lowerBound)
        }
        guard let first = own.baseAddress else { return }
        kernel(
          first, prepared.count, rows.count, columns.count, scale,
          from.map { $0.at + rows.lowerBound * $0.stride + columns.lowerBound }, from?.stride ?? 0,
          to + rows.lowerBound * c.row_stride + columns.lowerBound, c.row_stride,
          tile.columnsAhead(of: piece, threads: workers.count) * first.pointee.b.column_stride)
      }
    }
    withExtendedLifetime((prepared, start)) {}
  }

  /// How an output is cut, which is worked out once for all numbers of rows that take as many blocks.
  private func tile(m: Int, n: Int) -> ProductTile {
    let shape = SIMD2(ProductTile.whole(m), n)
    let rowSize = rowSizes.withLock { known in
      if let size = known[shape] { return size }
      let size = ProductTile.rowSize(m: shape[0], n: n, threads: products == .openBLAS ? nil : workers.count)
      known[shape] = size
      return size
    }
    return ProductTile(m: m, n: n, rowSize: rowSize)
  }

  /// A term whose factors have one type, and the tensors that hold them.
  private struct PreparedTerm {
    let term: mmd_term
    let holders: (Tensor, Tensor)

    func tile(down rows: Int, right columns: Int) -> mmd_term {
      var moved = term
      moved.a.at += rows * term.a.row_stride * (term.is_half ? 2 : 4)
      if term.nf4.codes == nil {
        moved.b.at += columns * term.b.column_stride * (term.is_half || term.widens_b ? 2 : 4)
      } else {
        moved.nf4_first += columns * term.b.column_stride
      }
      return moved
    }
  }

  private func prepared(_ term: ProductTerm) -> PreparedTerm {
    let isHalf = multipliesBFloat16 && isNarrow(term)
    let a = cast(term.a, to: isHalf ? .bfloat16 : .float32)
    // A bf16 matrix is widened on its way into panels, as NF4 codes are decoded.
    let b = isHalf || term.b.tensor.dtype != .bfloat16 ? cast(term.b, to: isHalf ? .bfloat16 : .float32) : term.b
    return PreparedTerm(
      term: mmd_term(
        a: matrix(a), b: matrix(b), k: a.width, is_half: isHalf, widens_b: !isHalf && b.tensor.dtype == .bfloat16,
        nf4: b.tensor.coding ?? mmd_nf4(),
        nf4_first: b.columns.lowerBound),
      holders: (a.tensor, b.tensor))
  }

  /// Whether its factors are brought to bf16 where such numbers are multiplied; a transposed factor stays as it lies.
  private func isNarrow(_ term: ProductTerm) -> Bool {
    [term.a, term.b].contains { $0.tensor.dtype == .bfloat16 } && !term.a.isTransposed
  }

  private func cast(_ factor: Factor, to type: DType) -> Factor {
    factor.tensor.dtype == type || factor.tensor.nf4 != nil
      ? factor : Factor(cast(factor.tensor, to: type), columns: factor.columns, transposed: factor.isTransposed)
  }

  private func matrix(_ factor: Factor) -> mmd_matrix {
    let tensor = factor.tensor
    let at = UnsafeRawPointer(tensor.bytes + factor.columns.lowerBound * tensor.dtype.size)
    return factor.isTransposed
      ? mmd_matrix(at: at, row_stride: 1, column_stride: tensor.width)
      : mmd_matrix(at: at, row_stride: tensor.width, column_stride: 1)
  }

  public func joinRows(_ parts: [Tensor]) -> Tensor {
    let y = empty([parts.reduce(0) { $0 + $1.rows }, parts[0].width], parts[0].dtype)
    var row = 0
    for part in parts {
      precondition(part.width == y.width && part.dtype == y.dtype, "joinRows: \(parts.map(\.shape))")
      memcpy(y.bytes + row * y.width * y.dtype.size, part.bytes, part.byteCount)
      row += part.rows
    }
    return y
  }
}
