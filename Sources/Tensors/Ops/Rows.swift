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
      guard let fixedRow else { return [backend.scatterAddRows(dy, indices, rows: rows)] }
      let fixed = backend.withBytes(of: indices) { bytes in
        bytes.bindMemory(to: Int32.self).enumerated().filter { $0.element == fixedRow }.map { Int32($0.offset) }
      }
      return [backend.scatterAddRows(backend.replaceRows(dy, backend.tensor(fixed), with: nil), indices, rows: rows)]
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

  /// Columns `ranges` of x, from left to right: [T, D] → [T, range.count] each
  public func columns(_ x: Tensor, _ ranges: [Range<Int>]) -> [Tensor] {
    let (backend, rows, width) = (backend, x.rows, x.width)
    let parts = ranges.map { backend.columns(x, $0) }
    record("columns", inputs: [x], outputs: parts) { gradients in
      var joined: [Tensor] = []
      var end = 0
      for (range, gradient) in zip(ranges, gradients) {
        precondition(range.lowerBound >= end, "columns: \(ranges)")
        if range.lowerBound > end { joined.append(backend.zeros([rows, range.lowerBound - end])) }
        joined.append(gradient ?? backend.zeros([rows, range.count]))
        end = range.upperBound
      }
      return [backend.joinColumns(end < width ? joined + [backend.zeros([rows, width - end])] : joined)]
    }
    return parts
  }
}
