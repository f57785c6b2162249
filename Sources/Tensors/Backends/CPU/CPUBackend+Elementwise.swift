import Foundation
import Kernels

extension CPUBackend {
  /// Runs a kernel over all elements, piece by piece, into a new tensor of the shape of `x`.
  private func elementwise(_ x: Tensor, _ body: (_ output: Tensor, _ from: Int, _ count: Int) -> Void) -> Tensor {
    let y = floats(x.shape)
    workers.runs(of: x.count, size: elementsPerPiece) { body(y, $0.lowerBound, $0.count) }
    return y
  }

  public func add(_ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(a.count == b.count, "add: \(a.shape) + \(b.shape)")
    return elementwise(a) { y, from, count in mmd_add(a.floats + from, b.floats + from, y.floats + from, count) }
  }

  public func scale(_ x: Tensor, by factor: Float) -> Tensor {
    elementwise(x) { y, from, count in mmd_scale(x.floats + from, factor, y.floats + from, count) }
  }

  public func columnSum(_ x: Tensor) -> Tensor {
    let x = cast(x, to: .float32)
    let size = max(64, rowsPerPiece(x.width))
    let pieces = (x.rows + size - 1) / size
    let partial = floats([max(pieces, 1), x.width])
    if pieces == 0 { memset(partial.bytes, 0, partial.byteCount) }
    workers.runs(of: x.rows, size: size) { rows in
      mmd_column_sum(
        x.floats + rows.lowerBound * x.width, partial.floats + rows.lowerBound / size * x.width, rows.count, x.width)
    }
    return pieces <= 1 ? partial.reshaped([x.width]) : summed(partial)
  }

  /// Σ over the rows of a small table of partial sums, in order.
  func summed(_ partial: Tensor) -> Tensor {
    let y = floats([partial.width])
    mmd_column_sum(partial.floats, y.floats, partial.rows, partial.width)
    return y
  }

  public func activate(_ kind: Activation, _ x: Tensor) -> Tensor {
    elementwise(x) { y, from, count in mmd_activate(kind.rawValue, x.floats + from, y.floats + from, count) }
  }

  public func activateBackward(_ kind: Activation, _ x: Tensor, _ dy: Tensor) -> Tensor {
    elementwise(x) { dx, from, count in
      mmd_activate_backward(kind.rawValue, x.floats + from, dy.floats + from, dx.floats + from, count)
    }
  }

  public func gate(_ kind: Activation, _ gate: Tensor, _ up: Tensor, as type: DType) -> Tensor {
    precondition(gate.shape == up.shape, "gate: \(gate.shape) · \(up.shape)")
    let y = Output(empty(gate.shape, type))
    workers.runs(of: gate.count, size: elementsPerPiece) { run in
      let from = run.lowerBound
      mmd_gate(kind.rawValue, gate.floats + from, up.floats + from, y.floats(from), y.halves(from), run.count)
    }
    return y.tensor
  }

  public func gateBackward(
    _ kind: Activation, _ gate: Tensor, _ up: Tensor, _ dy: Tensor, as type: DType
  ) -> (gate: Tensor, up: Tensor) {
    let isHalf = type == .bfloat16
    let (dgate, dup) = isHalf ? (empty(gate.shape, type), empty(up.shape, type)) : (gate, up)
    workers.runs(of: gate.count, size: elementsPerPiece) { run in
      let from = run.lowerBound
      mmd_gate_backward(
        kind.rawValue, gate.floats + from, up.floats + from, dy.floats + from, isHalf ? dgate.halves + from : nil,
        isHalf ? dup.halves + from : nil, run.count)
    }
    return (dgate, dup)
  }

  public func transposed(_ x: Tensor, as type: DType) -> Tensor {
    let (rows, width) = (x.rows, x.width)
    if x.dtype == .bfloat16, type == .bfloat16 {
      let y = empty([width, rows], type)
      workers.runs(of: width, size: max(16, rowsPerPiece(rows) / 16 * 16)) { run in
        let from = run.lowerBound
        mmd_transpose_bf16(x.halves + from, width, rows, run.count, y.halves + from * rows)
      }
      return y
    }
    let (x, y) = (cast(x, to: .float32), Output(empty([width, rows], type)))
    workers.runs(of: rows, size: max(16, rowsPerPiece(width) / 16 * 16)) { run in
      let from = run.lowerBound
      mmd_transpose(x.floats + from * width, width, run.count, width, y.floats(from), y.halves(from), rows)
    }
    return y.tensor
  }

  public func dropout(_ x: Tensor, _ dropout: Dropout) -> Tensor {
    let y = empty(x.shape, x.dtype)
    workers.runs(of: x.count, size: elementsPerPiece) { run in
      let (from, count) = (run.lowerBound, run.count)
      if x.dtype == .bfloat16 {
        mmd_dropout_bf16(x.halves + from, y.halves + from, count, dropout.rate, dropout.key, UInt64(from))
      } else {
        mmd_dropout(x.floats + from, y.floats + from, count, dropout.rate, dropout.key, UInt64(from))
      }
    }
    return y
  }
}
