import Foundation
import Ground
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

/// What multiplies on a processor.
public enum ProductKernels: String, Sendable, CaseIterable {
  /// The program's own kernels, bf16 on the tiles of Intel's AMX.
  case amx = "AVX-512, bf16 by AMX"
  /// The program's own kernels, bf16 by the processor's instruction.
  case avx512BF16 = "AVX-512, bf16 by AVX512-BF16"
  /// The program's own kernels, bf16 widened to f32.
  case avx512 = "AVX-512, bf16 widened to f32"
  /// The program's own kernels on narrower registers; the same bits as with `avx512`.
  case avx2 = "AVX2, bf16 widened to f32"
  /// OpenBLAS, bf16 widened to f32.
  case openBLAS = "OpenBLAS, bf16 widened to f32"

  /// Those that this processor can run, the fastest first.
  public static var available: [ProductKernels] {
    allCases.filter {
      switch $0 {
      case .amx: mmd_has_amx()
      case .avx512BF16: mmd_has_bf16()
      case .avx512: mmd_has_avx512()
      case .avx2: mmd_has_avx2()
      case .openBLAS: true
      }
    }
  }

  /// The fastest one, or the one that the environment asks for.
  static func chosen(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> ProductKernels {
    guard let name = environment["MMDIST_PRODUCTS"], !name.isEmpty else { return available[0] }
    guard let kernels = available.first(where: { "\($0)" == name }) else {
      throw Fault(
        .badConfiguration, "'\(name)' is not what this processor can multiply with", at: "MMDIST_PRODUCTS",
        "choose one of \(available.map { "\($0)" }.joined(separator: ", "))")
    }
    return kernels
  }

  /// Whether bf16 numbers are multiplied as such; otherwise they are widened.
  public var multipliesBFloat16: Bool { self == .amx || self == .avx512BF16 }

  var kernel: mmd_product {
    switch self {
    case .amx: mmd_product_amx
    case .avx512BF16, .avx512: mmd_product_avx512
    case .avx2: mmd_product_avx2
    case .openBLAS: mmd_product_openblas
    }
  }
}

extension ProductKernels {
  /// What is to be said where products do not have the same bits on all ranks of a run: their nodes have other
  /// processors, or they another environment. Nil where they do.
  /// - Parameters:
  ///   - chosen: what each rank multiplies with.
  ///   - available: what each rank could multiply with.
  public static func difference(chosen: [ProductKernels], available: [[ProductKernels]]) -> String? {
    let ways = allCases.filter(chosen.contains).map { way in "\(chosen.count { $0 == way }) with \(way.rawValue)" }
    let alike = Set(chosen.map { $0 == .avx2 ? .avx512 : $0 })
    guard alike.count > 1 else { return nil }
    let bits = chosen.contains(.openBLAS) ? "bits" : "bits in bfloat16"
    let common = allCases.first { way in available.allSatisfy { $0.contains(way) } } ?? .openBLAS
    return "ranks multiply in different ways, \(ways.joined(separator: " and ")), so that \(bits) depend on which of "
      + "them computes what; MMDIST_PRODUCTS=\(common) on all makes their products alike"
  }
}

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
    let choices = (parts...parts + threads).filter { $0 == parts || m / $0 >= 48 }.map(tile)
    let times = choices.map { $0.time(threads: threads) }
    return zip(choices, times).min { $0.1 < $1.1 }?.0.rowSize ?? choices[0].rowSize
  }

  /// How long threads take that go on to the next tile when they are done with one, in numbers of a row: where they do not
  /// divide the tiles, some wait for the last.
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
