extension Context {
  /// a + b, shapes equal.
  public func add(_ a: Tensor, _ b: Tensor) -> Tensor {
    let y = backend.add(a, b)
    record("add", inputs: [a, b], output: y) { [$0, $0] }
    return y
  }

  /// factor · x
  public func scale(_ x: Tensor, by factor: Float) -> Tensor {
    let backend = backend
    let y = backend.scale(x, by: factor)
    record("scale", inputs: [x], output: y) { [backend.scale($0, by: factor)] }
    return y
  }

  /// x[n·P, D] + table[P, D], the table repeated: learned positions of pictures of P tokens.
  public func addRepeated(_ x: Tensor, _ table: Tensor) -> Tensor {
    let (backend, period, wantsTable) = (backend, table.rows, tracks(table))
    let y = backend.addRepeated(x, table)
    record("addRepeated", inputs: [x, table], output: y) { dy in
      [dy, wantsTable ? backend.sumRepeated(dy, period: period) : nil]
    }
    return y
  }

  /// Zeroes some elements and scales the others up; nil drops nothing.
  public func dropout(_ x: Tensor, _ dropout: Dropout?) -> Tensor {
    guard let dropout else { return x }
    let backend = backend
    let y = backend.dropout(x, dropout)
    record("dropout", inputs: [x], output: y) { [backend.dropout($0, dropout)] }
    return y
  }
}
