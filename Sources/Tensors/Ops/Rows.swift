extension Context {
  /// The same numbers under another shape.
  public func reshape(_ x: Tensor, _ shape: [Int]) -> Tensor {
    let (y, before) = (x.reshaped(shape), x.shape)
    record("reshape", inputs: [x], output: y) { [$0.reshaped(before)] }
    return y
  }

  /// Rows of a table: [N, D] → [T, D]; an embedding.
  ///
  /// - Parameter fixedRow: a row that gets no gradient, as `padding_idx` of `torch.nn.Embedding`.
  public func gatherRows(_ table: Tensor, _ indices: Tensor, fixedRow: Int? = nil) -> Tensor {
    let (backend, rows) = (backend, table.rows)
    let y = backend.gatherRows(table, indices)
    record("gatherRows", inputs: [table], output: y) { dy in
      let gradient = backend.scatterAddRows(dy, indices, rows: rows)
      guard let fixedRow else { return [gradient] }
      return [backend.replaceRows(gradient, backend.tensor([Int32(fixedRow)]), with: nil)]
    }
    return y
  }

  /// `base` with its rows at `indices` (each at most once) replaced by those of `values`, in order.
  public func replaceRows(_ base: Tensor, _ indices: Tensor, with values: Tensor) -> Tensor {
    let (backend, wants) = (backend, (base: tracks(base), values: tracks(values)))
    let y = backend.replaceRows(base, indices, with: values)
    record("replaceRows", inputs: [base, values], output: y) { dy in
      [
        wants.base ? backend.replaceRows(dy, indices, with: nil) : nil,
        wants.values ? backend.gatherRows(dy, indices) : nil,
      ]
    }
    return y
  }

  /// The same rows in front of every run of rows of x: [n, D], [T, D] → [runs·n + T, D].
  ///
  /// - Parameter runs: ranges of rows, in order, that cover all of x.
  public func prepend(_ front: Tensor, to x: Tensor, runs: [Range<Int>]) -> Tensor {
    let (backend, wants) = (backend, (front: tracks(front), x: tracks(x)))
    let y = backend.joinRows(runs.flatMap { [front, x.slice($0)] })
    record("prepend", inputs: [front, x], output: y) { [count = front.rows] dy in
      let starts = runs.enumerated().map { $0.element.lowerBound + $0.offset * count }
      let fronts = starts.map { dy.slice($0..<$0 + count) }
      let rest = zip(starts, runs).map { dy.slice($0 + count..<$0 + count + $1.count) }
      return [
        wants.front ? fronts.dropFirst().reduce(fronts[0], backend.add) : nil, wants.x ? backend.joinRows(rest) : nil,
      ]
    }
    return y
  }

  /// [T, D₁], [T, D₂], … → [T, ΣD]
  public func joinColumns(_ parts: [Tensor]) -> Tensor {
    guard parts.count > 1 else { return parts[0] }
    let (backend, widths) = (backend, parts.map(\.width))
    let y = backend.joinColumns(parts)
    record("joinColumns", inputs: parts, output: y) { dy in
      var from = 0
      return widths.map { width in
        defer { from += width }
        return backend.columns(dy, from..<from + width)
      }
    }
    return y
  }

  /// Columns `range` of x: [T, D] → [T, range.count]
  public func columns(_ x: Tensor, _ ranges: [Range<Int>]) -> [Tensor] {
    let (backend, width) = (backend, x.width)
    return ranges.map { range in
      let y = backend.columns(x, range)
      record("columns", inputs: [x], output: y) { dy in
        let before = backend.zeros([dy.rows, range.lowerBound])
        let after = backend.zeros([dy.rows, width - range.upperBound])
        return [backend.joinColumns([before, dy, after])]
      }
      return y
    }
  }
}
