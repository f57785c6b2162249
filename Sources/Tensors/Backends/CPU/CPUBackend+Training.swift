import Kernels

extension CPUBackend {
  public func crossEntropy(
    _ logits: [LogitTerm], targets: Tensor, rowWeights: Tensor?
  ) -> (nll: Tensor, gradients: [LogitTerm.Gradients]) {
    let (rows, classes) = (logits[0].states.rows, logits[0].matrix.rows)
    precondition(
      rows == targets.count && rowWeights?.count ?? rows == rows,
      "crossEntropy: \(rows) rows, \(targets.count) targets, \(rowWeights?.count ?? rows) weights")
    let (nll, wanted) = (floats([rows]), logits.contains(where: \.wantsAny))
    let gradients = logitBlocks(logits) { block, logits in
      workers.run(block.count) { row in
        mmd_cross_entropy(
          logits.floats + row * classes, targets.integers + block.lowerBound + row, nll.floats + block.lowerBound + row,
          1, classes, rowWeights.map { $0.floats[block.lowerBound + row] } ?? 1, wanted)
      }
    }
    return (nll, gradients)
  }

  public func tokenLosses(
    _ logits: [LogitTerm], targets: Tensor, teacher: (hidden: Tensor, head: Tensor)?, _ terms: TokenTerms,
    rowWeights: Tensor?
  ) -> (losses: Tensor, gradients: [LogitTerm.Gradients]) {
    let (rows, classes) = (logits[0].states.rows, logits[0].matrix.rows)
    precondition(
      rows == targets.count && rowWeights?.count ?? rows == rows && teacher?.hidden.rows ?? rows == rows
        && teacher?.head.rows ?? classes == classes,
      "tokenLosses: \(rows) rows, \(targets.count) targets, \(classes) and \(teacher?.head.rows ?? 0) classes")
    let (losses, wanted) = (floats([rows, 3]), logits.contains(where: \.wantsAny))
    let own = mmd_token_terms(
      cross_entropy: terms.crossEntropy, smoothing: terms.smoothing, squared_log_sum: terms.squaredLogSum,
      distillation: terms.distillation, temperature: terms.temperature)
    let gradients = logitBlocks(logits) { block, logits in
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
    return (losses, gradients)
  }

  /// The logits in blocks of rows, since those of all rows never exist together: `replace` puts their gradients in their
  /// place, from which those of states and matrices follow.
  private func logitBlocks(
    _ terms: [LogitTerm], _ replace: (_ block: Range<Int>, _ logits: Tensor) -> Void
  ) -> [LogitTerm.Gradients] {
    let (rows, classes) = (terms[0].states.rows, terms[0].matrix.rows)
    precondition(
      terms.allSatisfy { $0.states.rows == rows && $0.matrix.rows == classes && $0.states.width == $0.matrix.width },
      "logits: \(terms.map { "\($0.states.shape) with \($0.matrix.shape)" })")
    let gradients = terms.map { term -> LogitTerm.Gradients in
      (term.wants.states ? floats(term.states.shape) : nil, term.wants.matrix ? floats(term.matrix.shape) : nil)
    }
    // Every block reads the whole head twice, which takes some rows to pay; equal blocks leave no short one.
    let blocks = (rows - 1) / max(128, (32 << 20) / (classes * 4)) + 1
    let blockRows = max(1, (rows + blocks - 1) / blocks)
    for first in stride(from: 0, to: rows, by: blockRows) {
      let block = first..<min(rows, first + blockRows)
      let logits = product(
        terms.map { ProductTerm(Factor($0.states.slice(block)), Factor($0.matrix, transposed: true)) })
      replace(block, logits)
      for (term, gradient) in zip(terms, gradients) {
        if let states = gradient.states {
          product(Factor(logits), Factor(term.matrix), into: Factor(states.slice(block)))
        }
        if let matrix = gradient.matrix {
          // A first factor in bf16 cannot be transposed where it lies.
          let across =
            term.matrix.dtype == .bfloat16 && multipliesBFloat16
            ? Factor(transposed(logits, as: .bfloat16)) : Factor(logits, transposed: true)
          product(
            across, Factor(term.states.slice(block)), start: first == 0 ? .zero : .target, into: Factor(matrix))
        }
      }
    }
    return rows > 0 ? gradients : gradients.map { ($0.states, $0.matrix.map { zeros($0.shape) }) }
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
