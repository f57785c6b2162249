import Kernels

extension CPUBackend {
  public func outputNorms(
    _ weight: Tensor, _ layout: WeightLayout, down: Tensor, up: Tensor, scale: Float
  ) -> Tensor {
    // Codes are decoded for as long as the norms take.
    let weight = plain(weight, as: weight.dtype)
    let (rank, inputs, outputs) = (down.rows, down.width, up.rows)
    precondition(
      up.width == rank && weight.shape == (layout == .outputsFirst ? [outputs, inputs] : [inputs, outputs]),
      "outputNorms: \(weight.shape) with \(up.shape) × \(down.shape)")
    let (norms, isHalf) = (floats([outputs]), weight.dtype == .bfloat16)
    let (whole, half) = (isHalf ? nil : weight.floats, isHalf ? weight.halves : nil)
    // Columns are cut at strips of the kernel, so that what each sums up does not depend on the cut.
    let size = layout == .outputsFirst ? rowsPerPiece(inputs * max(rank, 1)) : 64
    workers.runs(of: outputs, size: size) { range in
      switch layout {
      case .outputsFirst:
        mmd_row_norms(
          whole, half, inputs, down.floats, up.floats, rank, scale, norms.floats, range.lowerBound, range.upperBound)
      case .inputsFirst:
        mmd_column_norms(
          whole, half, inputs, outputs, down.floats, up.floats, rank, scale, norms.floats, range.lowerBound,
          range.upperBound)
      }
    }
    return norms
  }

  public func scaleColumns(_ x: Tensor, by factors: Tensor, start: ProductStart) -> Tensor {
    let (y, width) = (floats(x.shape), x.width)
    let base: Tensor?
    switch start {
    case .zero: base = nil
    case .row(let row): base = cast(row, to: .float32)
    case .rows(let rows): base = rows
    case .target: preconditionFailure("scaleColumns: it has no target")
    }
    precondition(
      factors.count == width && base.map { $0.width == width && [1, x.rows].contains($0.rows) } ?? true,
      "scaleColumns: \(x.shape) · \(factors.shape) + \(base?.shape ?? [])")
    let stride = if case .rows = start { width } else { 0 }
    workers.runs(of: x.rows, size: rowsPerPiece(width)) { rows in
      let from = rows.lowerBound
      mmd_scale_columns(
        x.floats + from * width, factors.floats, base.map { UnsafePointer($0.floats + from * stride) }, stride,
        y.floats + from * width, rows.count, width)
    }
    return y
  }

  public func columnProducts(_ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(a.shape == b.shape, "columnProducts: \(a.shape) · \(b.shape)")
    let (width, size) = (a.width, max(64, rowsPerPiece(a.width)))
    let pieces = (a.rows + size - 1) / size
    let partial = pieces == 0 ? zeros([1, width]) : floats([pieces, width])
    workers.runs(of: a.rows, size: size) { rows in
      let from = rows.lowerBound * width
      mmd_column_products(
        a.floats + from, b.floats + from, partial.floats + rows.lowerBound / size * width, rows.count, width)
    }
    return pieces <= 1 ? partial.reshaped([width]) : summed(partial)
  }

  public func divide(_ a: Tensor, by b: Tensor) -> Tensor {
    precondition(a.count == b.count, "divide: \(a.shape) / \(b.shape)")
    let y = floats(a.shape)
    workers.runs(of: a.count, size: elementsPerPiece) { range in
      let from = range.lowerBound
      mmd_divide(a.floats + from, b.floats + from, y.floats + from, range.count)
    }
    return y
  }
}
