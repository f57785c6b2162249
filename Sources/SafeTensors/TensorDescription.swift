import Tensors

/// A tensor without its values: what a header says of it.
public struct TensorDescription: Sendable, Equatable {
  public let name: String
  public let dtype: DType
  public let shape: [Int]

  public init(name: String, dtype: DType, shape: [Int]) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
  }

  /// Bytes of the values, size(dtype) × Π shape, or nil when an extent is negative or the product overflows.
  ///
  /// The partial products are bounded too, so that `[huge, huge, 0]` is refused rather than taken for empty.
  public var byteCount: Int? {
    var count = dtype.size
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: max(extent, 1))
      if extent < 0 || overflow { return nil }
      count = product
    }
    return shape.contains(0) ? 0 : count
  }
}

extension TensorDescription {
  /// The order in which the reference writer stores tensors: wide elements first, so that each tensor
  /// begins at a multiple of its element size, then by the bytes of the name.
  public static func inReferenceOrder(_ a: TensorDescription, _ b: TensorDescription) -> Bool {
    let (rankA, rankB) = (a.dtype.referenceRank, b.dtype.referenceRank)
    return rankA != rankB ? rankA > rankB : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
  }
}

extension DType {
  /// The place of the type in the reference implementation's list, which ascends by width.
  fileprivate var referenceRank: Int {
    switch self {
    case .bool: 0
    case .uint8: 1
    case .int8: 2
    case .int16: 3
    case .float16: 4
    case .bfloat16: 5
    case .int32: 6
    case .float32: 7
    case .float64: 8
    case .int64: 9
    }
  }
}
