import Kernels

extension CPUBackend {
  /// The most memory that a block of logits takes, in bytes: logits of all rows never exist together.
  private var logitBlockBytes: Int { 32 << 20 }

  public func crossEntropy(
    hidden: Tensor, head: Tensor, targets: Tensor, wants: (hidden: Bool, head: Bool)
  ) -> (nll: Tensor, hidden: Tensor?, head: Tensor?) {
    precondition(
      hidden.width == head.width && hidden.rows == targets.count,
      "crossEntropy: \(hidden.shape) with head \(head.shape) and \(targets.count) targets")
    let (classes, rows) = (head.rows, hidden.rows)
    let (nll, dHidden) = (floats([rows]), wants.hidden ? floats(hidden.shape) : nil)
    var dHead: Tensor?
    let blockRows = max(16, logitBlockBytes / (classes * 4))
    for first in stride(from: 0, to: rows, by: blockRows) {
      let block = first..<min(rows, first + blockRows)
      let x = hidden.slice(block)
      let logits = product(x, head, transposed: true)
      let wanted = wants.hidden || wants.head
      workers.run(block.count) { row in
        mmd_cross_entropy(
          logits.floats + row * classes, targets.integers + first + row, nll.floats + first + row, 1, classes, wanted)
      }
      if let dHidden {
        product(Factor(logits), Factor(head), into: Factor(dHidden.slice(block)))
      }
      if wants.head {
        let isFirst = dHead == nil
        let sum = dHead ?? floats(head.shape)
        // A first factor in bf16 cannot be transposed where it lies.
        let across =
          head.dtype == .bfloat16 ? Factor(transposed(logits, as: .bfloat16)) : Factor(logits, transposed: true)
        product(across, Factor(x), start: isFirst ? .zero : .target, into: Factor(sum))
        dHead = sum
      }
    }
    return (nll, dHidden, wants.head ? dHead ?? zeros(head.shape) : nil)
  }

  public func sumOfSquares(_ x: Tensor) -> Double {
    let size = elementsPerPiece
    let pieces = (x.count + size - 1) / size
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: max(pieces, 1)) { partial in
      workers.runs(of: x.count, size: size) { range in
        partial[range.lowerBound / size] = mmd_sum_of_squares(x.floats + range.lowerBound, range.count)
      }
      return partial.prefix(pieces).reduce(0, +)
    }
  }
}
