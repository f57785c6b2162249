import Synchronization

/// An immutable block of numbers on a device: row-major, its type known at run time.
///
/// Numbers of frozen matrices may be kept as 4-bit codes (``nf4``): products take such a tensor as their second factor, and
/// ``Backend/dequantised(_:as:)`` gives its values; everything else wants plain ones.
///
/// Tensors know nothing of the tape that may have recorded them; `id` is how a tape refers to them.
public final class Tensor {
  public let storage: Storage
  /// Where the first element lies in the storage, in bytes.
  public let offset: Int
  public let shape: [Int]
  public let dtype: DType
  /// How values come from codes; nil where the storage holds the values themselves.
  public let nf4: NF4?
  public let id: UInt64

  public convenience init(storage: Storage, offset: Int = 0, shape: [Int], dtype: DType) {
    self.init(storage: storage, offset: offset, shape: shape, dtype: dtype, nf4: nil)
  }

  init(storage: Storage, offset: Int, shape: [Int], dtype: DType, nf4: NF4?) {
    let count = shape.reduce(1, *)
    let byteCount = nf4 == nil ? count * dtype.size : NF4.codeBytes(count)
    precondition(
      offset >= 0 && offset + byteCount <= storage.byteCount,
      "tensor: \(shape) \(dtype) at \(offset) does not fit \(storage.byteCount) bytes")
    self.nf4 = nf4
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.dtype = dtype
    self.id = nextID.add(1, ordering: .relaxed).newValue
  }

  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }
  /// Bytes of its storage that it takes; of NF4 the codes alone.
  public var byteCount: Int { nf4 == nil ? count * dtype.size : NF4.codeBytes(count) }
  /// The last dimension, `D` in `[…, D]`.
  public var width: Int { shape.last ?? 1 }
  /// How many rows of `width` elements there are.
  public var rows: Int { shape.dropLast().reduce(1, *) }

  /// The same numbers under another shape.
  public func reshaped(_ shape: [Int]) -> Tensor {
    precondition(shape.reduce(1, *) == count, "reshape: \(self.shape) → \(shape)")
    return Tensor(storage: storage, offset: offset, shape: shape, dtype: dtype, nf4: nf4)
  }

  /// A view of some leading rows: `[N, …]` → `[range.count, …]`.
  public func slice(_ range: Range<Int>) -> Tensor {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= shape[0] && nf4 == nil, "slice: \(self) at \(range)")
    let rowBytes = byteCount / max(shape[0], 1)
    return Tensor(
      storage: storage, offset: offset + range.lowerBound * rowBytes, shape: [range.count] + shape.dropFirst(),
      dtype: dtype)
  }
}

private let nextID = Atomic<UInt64>(0)

extension Tensor: CustomStringConvertible {
  public var description: String { "Tensor(\(shape), \(dtype)\(nf4 == nil ? "" : " as NF4"))" }
}
