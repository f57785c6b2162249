import Kernels

extension CPUBackend {
  public func crossEntropy(
    hidden: Tensor, head: Tensor, targets: Tensor, rowWeights: Tensor?, wants: (hidden: Bool, head: Bool)
  ) -> (nll: Tensor, hidden: Tensor?, head: Tensor?) {
    precondition(
      hidden.rows == targets.count && rowWeights?.count ?? hidden.rows == hidden.rows,
      "crossEntropy: \(hidden.shape), \(targets.count) targets, \(rowWeights?.count ?? hidden.rows) weights")
    let (classes, nll, wanted) = (head.rows, floats([hidden.rows]), wants.hidden || wants.head)
    let found = logitBlocks(hidden, head, wants) { block, logits in
      workers.run(block.count) { row in
        mmd_cross_entropy(
          logits.floats + row * classes, targets.integers + block.lowerBound + row, nll.floats + block.lowerBound + row,
          1, classes, rowWeights.map { $0.floats[block.lowerBound + row] } ?? 1, wanted)
      }
    }
    return (nll, found.hidden, found.head)
  }

  public func tokenLosses(
    hidden: Tensor, head: Tensor, targets: Tensor, teacher: (hidden: Tensor, head: Tensor)?, _ terms: TokenTerms,
    rowWeights: Tensor?, wants: (hidden: Bool, head: Bool)
  ) -> (losses: Tensor, hidden: Tensor?, head: Tensor?) {
    let (classes, rows) = (head.rows, hidden.rows)
    precondition(
      rows == targets.count && rowWeights?.count ?? rows == rows && teacher?.hidden.rows ?? rows == rows
        && teacher?.head.rows ?? classes == classes,
      "tokenLosses: \(hidden.shape), \(targets.count) targets, \(classes) classes, a teacher of \(teacher?.head.rows ?? 0)"
    )
    let (losses, wanted) = (floats([rows, 3]), wants.hidden || wants.head)
    let own = mmd_token_terms(
      cross_entropy: terms.crossEntropy, smoothing: terms.smoothing, squared_log_sum: terms.squaredLogSum,
      distillation: terms.distillation, temperature: terms.temperature)
    let found = logitBlocks(hidden, head, wants) { block, logits in
      let theirs = teacher.map { product($0.hidden.slice(block), $0.head, transposed: true) }
      workers.run(block.count) { row in
        withUnsafePointer(to: own) { terms in
          mmd_token_losses(
            logits.floats + row * classes, theirs.map { $0.floats + row * classes },
            targets.integers[block.lowerBound + row], losses.floats + 3 * (block.lowerBound + row), classes, terms,
            rowWeights.map { $0.floats[block.lowerBound + row] } ?? 1, wanted)
        }
      }
    }
    return (losses, found.hidden, found.head)
  }

  /// The logits hidden · headᵀ in blocks of rows, since those of all rows never exist together: `replace` puts their
  /// gradients in their place, from which those of hidden states and head follow.
  private func logitBlocks(
    _ hidden: Tensor, _ head: Tensor, _ wants: (hidden: Bool, head: Bool),
    _ replace: (_ block: Range<Int>, _ logits: Tensor) -> Void
  ) -> (hidden: Tensor?, head: Tensor?) {
    precondition(hidden.width == head.width, "logits: \(hidden.shape) with head \(head.shape)")
    let rows = hidden.rows
    let dHidden = wants.hidden ? floats(hidden.shape) : nil
    var dHead: Tensor?
    // Every block reads the whole head twice, which takes some rows to pay; equal blocks leave no short one.
    let blocks = (rows - 1) / max(128, (32 << 20) / (head.rows * 4)) + 1
    let blockRows = max(1, (rows + blocks - 1) / blocks)
    for first in stride(from: 0, to: rows, by: blockRows) {
      let block = first..<min(rows, first + blockRows)
      let x = hidden.slice(block)
      let logits = product(x, head, transposed: true)
      replace(block, logits)
      if let dHidden {
        product(Factor(logits), Factor(head), into: Factor(dHidden.slice(block)))
      }
      if wants.head {
        let isFirst = dHead == nil
        let sum = dHead ?? floats(head.shape)
        // A first factor in bf16 cannot be transposed where it lies.
        let across =
          head.dtype == .bfloat16 && multipliesBFloat16
          ? Factor(transposed(logits, as: .bfloat16)) : Factor(logits, transposed: true)
        product(across, Factor(x), start: isFirst ? .zero : .target, into: Factor(sum))
        dHead = sum
      }
    }
    return (dHidden, wants.head ? dHead ?? zeros(head.shape) : nil)
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
