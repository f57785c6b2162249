/// A factor of a matrix product: the rows of a tensor, some of its columns, or either of them transposed.
public struct Factor {
  public let tensor: Tensor
  public let columns: Range<Int>
  public let isTransposed: Bool

  public init(_ tensor: Tensor, columns: Range<Int>? = nil, transposed: Bool = false) {
    precondition(columns.map { $0.upperBound <= tensor.width } ?? true, "factor: columns of \(tensor.shape)")
    self.tensor = tensor
    self.columns = columns ?? 0..<tensor.width
    isTransposed = transposed
  }

  public var rows: Int { isTransposed ? columns.count : tensor.rows }
  public var width: Int { isTransposed ? tensor.rows : columns.count }
}

/// One term of a sum of products: a[m, k] · b[k, n].
public struct ProductTerm {
  public let a: Factor
  public let b: Factor

  public init(_ a: Factor, _ b: Factor) {
    precondition(
      a.width == b.rows && a.width > 0,
      "product: [\(a.rows), \(a.width)] × [\(b.rows), \(b.width)]")
    precondition(
      a.tensor.nf4 == nil && (b.tensor.nf4 == nil || !a.isTransposed), "product: \(a.tensor) × \(b.tensor)")
    self.a = a
    self.b = b
  }

  /// How many multiplications and additions it takes.
  public var operations: Int { 2 * a.rows * a.width * b.width }
}

/// What a product is added to.
public enum ProductStart {
  case zero
  /// A row [n] for every row: a bias.
  case row(Tensor)
  /// A tensor of the result's shape, which stays as it is: a residual.
  case rows(Tensor)
  /// What the target holds.
  case target
}

extension Backend {
  /// Σ a[m, k] · b[k, n] · scale + start, in new memory.
  public func product(_ terms: [ProductTerm], scale: Float = 1, start: ProductStart = .zero) -> Tensor {
    let y = empty([terms[0].a.rows, terms[0].b.width], .float32)
    product(terms, scale: scale, start: start, into: Factor(y))
    return y
  }

  /// a[m, k] · b[k, n] · scale + start, in new memory.
  public func product(_ a: Factor, _ b: Factor, scale: Float = 1, start: ProductStart = .zero) -> Tensor {
    product([ProductTerm(a, b)], scale: scale, start: start)
  }

  /// target = a[m, k] · b[k, n] · scale + start
  public func product(
    _ a: Factor, _ b: Factor, scale: Float = 1, start: ProductStart = .zero, into target: Factor
  ) {
    product([ProductTerm(a, b)], scale: scale, start: start, into: target)
  }

  /// x · wᵀ where w is stored by outputs, x · w where by inputs.
  public func product(_ x: Tensor, _ w: Tensor, transposed: Bool, start: ProductStart = .zero) -> Tensor {
    product(Factor(x), Factor(w, transposed: transposed), start: start)
  }
}
