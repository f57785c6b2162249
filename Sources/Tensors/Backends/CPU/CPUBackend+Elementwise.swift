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

  public func gate(_ kind: Activation, _ gate: Tensor, _ up: Tensor) -> Tensor {
    precondition(gate.shape == up.shape, "gate: \(gate.shape) · \(up.shape)")
    return elementwise(gate) { y, from, count in
      mmd_gate(kind.rawValue, gate.floats + from, up.floats + from, y.floats + from, count)
    }
  }

  public func gateBackward(
    _ kind: Activation, _ gate: Tensor, _ up: Tensor, _ dy: Tensor
  ) -> (gate: Tensor, up: Tensor) {
    let dup = floats(up.shape)
    let dgate = elementwise(gate) { dgate, from, count in
      mmd_gate_backward(
        kind.rawValue, gate.floats + from, up.floats + from, dy.floats + from, dgate.floats + from, dup.floats + from,
        count)
    }
    return (dgate, dup)
  }

  public func dropout(_ x: Tensor, _ dropout: Dropout) -> Tensor {
    elementwise(x) { y, from, count in
      mmd_dropout(x.floats + from, y.floats + from, count, dropout.rate, dropout.key, UInt64(from))
    }
  }
}
