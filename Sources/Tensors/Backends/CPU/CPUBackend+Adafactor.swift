import Foundation
import Kernels

/// Adafactor sees a parameter as N matrices [R, C], and a vector as one row. Rows are cut into runs that do not depend on
/// the number of threads; sums over runs follow their order.
extension CPUBackend {
  func factored(
    _ weight: Tensor, _ gradient: Tensor, _ constants: AdafactorConstants, _ state: AdafactorState, _ step: UpdateStep
  ) {
    let cut = MatrixRuns(weight.shape, rowsPerPiece: rowsPerPiece(weight.width))
    precondition(
      state.columns.count == cut.matrices * cut.width && state.rows.map { $0.count == cut.matrices * cut.rows } ?? true
        && state.mean.map { $0.count == weight.count } ?? true, "adafactor: the state does not fit \(weight.shape)")
    let rate = step.rate * (constants.smallestScale.map { max($0, rootMeanSquare(weight)) } ?? 1)

    updateSquares(gradient, cut, constants, state, step)
    let factors = factors(cut, state)
    let norms = zeros([cut.runs.count], .float64)
    let norm = norms.bytes.assumingMemoryBound(to: Double.self)
    run(cut) { index, first, count, row, column in
      norm[index] = mmd_factored_norm(
        gradient.floats + first, count, cut.width, step.gradientScale, factors.rows.floats + row,
        factors.columns.floats + column)
    }
    let squares = (0..<cut.runs.count).reduce(0) { $0 + norm[$1] }
    let length = (squares / Double(max(weight.count, 1))).squareRoot()
    let size = rate / max(1, length / constants.clipThreshold)
    run(cut) { _, first, count, row, column in
      mmd_factored_step(
        weight.floats + first, state.mean.map { $0.floats + first }, gradient.floats + first, count, cut.width,
        step.gradientScale, factors.rows.floats + row, factors.columns.floats + column,
        Float(1 - rate * step.weightDecay), Float(size), constants.momentum)
    }
  }

  private func rootMeanSquare(_ x: Tensor) -> Double {
    (sumOfSquares(x) / Double(max(x.count, 1))).squareRoot()
  }

  /// Moves the mean squares of rows and columns towards those of this gradient.
  private func updateSquares(
    _ gradient: Tensor, _ cut: MatrixRuns, _ constants: AdafactorConstants, _ state: AdafactorState, _ step: UpdateStep
  ) {
    let partial = floats([cut.runs.count, cut.width])
    let means = floats([cut.matrices * cut.rows])
    run(cut) { index, first, count, row, _ in
      mmd_factored_squares(
        gradient.floats + first, count, cut.width, step.gradientScale, Float(constants.epsilon), means.floats + row,
        partial.floats + index * cut.width)
    }
    let share = Float(1 - constants.keep)
    if let rows = state.rows { mmd_approach(rows.floats, means.floats, share, rows.count) }
    workers.run(cut.matrices) { matrix in
      let runs = cut.runs(of: matrix)
      let sums = floats([cut.width])
      mmd_column_sum(partial.floats + runs.lowerBound * cut.width, sums.floats, runs.count, cut.width)
      mmd_scale(sums.floats, 1 / Float(cut.rows), sums.floats, cut.width)
      mmd_approach(state.columns.floats + matrix * cut.width, sums.floats, share, cut.width)
    }
  }

  /// 1 / √(row / mean of rows) and 1 / √column, whose product divides the gradient; a vector has the row factor 1.
  private func factors(_ cut: MatrixRuns, _ state: AdafactorState) -> (rows: Tensor, columns: Tensor) {
    let (rows, columns) = (floats([cut.matrices * cut.rows]), floats([cut.matrices * cut.width]))
    mmd_inverse_roots(state.columns.floats, 1, columns.floats, columns.count)
    guard let means = state.rows else {
      rows.floats.update(repeating: 1, count: rows.count)
      return (rows, columns)
    }
    workers.run(cut.matrices) { matrix in
      let own = means.floats + matrix * cut.rows
      let mean = (0..<cut.rows).reduce(0.0) { $0 + Double(own[$1]) } / Double(cut.rows)
      mmd_inverse_roots(own, mean, rows.floats + matrix * cut.rows, cut.rows)
    }
    return (rows, columns)
  }

  /// Hands over each run: its number, its first element, its rows, its first row and its matrix's first column.
  private func run(
    _ cut: MatrixRuns, _ body: (_ index: Int, _ first: Int, _ count: Int, _ row: Int, _ column: Int) -> Void
  ) {
    workers.run(cut.runs.count) { index in
      let run = cut.runs[index]
      body(index, run.lowerBound * cut.width, run.count, run.lowerBound, run.lowerBound / cut.rows * cut.width)
    }
  }
}

/// How the rows of N matrices [R, C] are cut into runs, at most 64 a matrix.
private struct MatrixRuns {
  let matrices, rows, width: Int
  /// Rows of all matrices one below the other.
  let runs: [Range<Int>]
  private let runsPerMatrix: Int

  init(_ shape: [Int], rowsPerPiece: Int) {
    width = shape.last ?? 1
    rows = shape.count > 1 ? shape[shape.count - 2] : 1
    matrices = shape.dropLast(2).reduce(1, *)
    let size = max(rowsPerPiece, (rows + 63) / 64)
    let starts = Array(stride(from: 0, to: rows, by: size))
    runsPerMatrix = starts.count
    runs = (0..<matrices).flatMap { [rows] matrix in
      starts.map { matrix * rows + $0..<matrix * rows + min($0 + size, rows) }
    }
  }

  func runs(of matrix: Int) -> Range<Int> { matrix * runsPerMatrix..<(matrix + 1) * runsPerMatrix }
}
