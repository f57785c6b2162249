import Synchronization

/// An immutable block of numbers on a device: row-major, its type known at run time.
///
/// Tensors know nothing of the tape that may have recorded them; `id` is how a tape refers to them.
public final class Tensor {
  public let storage: Storage
  /// Where the first element lies in the storage, in bytes.
  public let offset: Int
  public let shape: [Int]
  public let dtype: DType
  public let id: UInt64

  public init(storage: Storage, offset: Int = 0, shape: [Int], dtype: DType) {
    precondition(
      offset >= 0 && offset + shape.reduce(1, *) * dtype.size <= storage.byteCount,
      "tensor: \(shape) \(dtype) at \(offset) does not fit \(storage.byteCount) bytes")
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.dtype = dtype
    self.id = nextID.add(1, ordering: .relaxed).newValue
  }

  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }
  public var byteCount: Int { count * dtype.size }
  /// The last dimension, `D` in `[…, D]`.
  public var width: Int { shape.last ?? 1 }
  /// How many rows of `width` elements there are.
  public var rows: Int { shape.dropLast().reduce(1, *) }

  /// The same numbers under another shape.
  public func reshaped(_ shape: [Int]) -> Tensor {
    precondition(shape.reduce(1, *) == count, "reshape: \(self.shape) → \(shape)")
    return Tensor(storage: storage, offset: offset, shape: shape, dtype: dtype)
  }

  /// A view of some leading rows: `[N, …]` → `[range.count, …]`.
  public func slice(_ range: Range<Int>) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "slice: \(shape) at \(range)")
    let rowBytes = byteCount / max(shape[0], 1)
    return Tensor(
      storage: storage, offset: offset + range.lowerBound * rowBytes, shape: [range.count] + shape.dropFirst(),
      dtype: dtype)
  }
}

private let nextID = Atomic<UInt64>(0)

extension Tensor: CustomStringConvertible {
  public var description: String { "Tensor(\(shape), \(dtype))" }
}
