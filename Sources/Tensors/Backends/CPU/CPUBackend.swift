import Foundation
import Ground
import Kernels
import Synchronization

/// The host processor: C kernels, each call on one thread, and one pool of workers.
public final class CPUBackend: Backend {
  let workers: Workers
  let pool = MemoryPool()
  public let products: ProductKernels
  let kernel: mmd_product
  /// Of the tiles of products, by the shapes of their outputs.
  let rowSizes = Mutex<[SIMD2<Int>: Int]>([:])

  /// - Parameters:
  ///   - threads: how many threads compute; results do not depend on it.
  ///   - products: what multiplies; results depend on it by the rounding of sums. Nil: the fastest, or what
  ///     `MMDIST_PRODUCTS` names (amx, avx512BF16, avx512, avx2, openBLAS).
  /// - Throws: `Fault(.missingInput)` when OpenBLAS is needed and not installed.
  public convenience init(threads: Int, products: ProductKernels? = nil) throws {
    let products = try products ?? ProductKernels.chosen()
    precondition(ProductKernels.available.contains(products), "this processor has no \(products.rawValue)")
    try self.init(threads: threads, products: products, kernel: products.kernel)
  }

  /// Multiplies with a kernel that computes as `products` says.
  package init(threads: Int, products: ProductKernels, kernel: @escaping mmd_product) throws {
    (self.products, self.kernel) = (products, kernel)
    if products == .openBLAS, let problem = mmd_blas_load() {
      throw Fault(
        .missingInput, "OpenBLAS cannot be loaded: \(String(cString: problem))", at: "libopenblas.so.0",
        "install libopenblas0-pthread")
    }
    workers = Workers(count: max(threads, 1))
  }

  public var summary: String {
    "CPU, \(workers.count) thread\(workers.count == 1 ? "" : "s"), products \(multiplier)"
  }
  /// What multiplies; of OpenBLAS also which of its kernels.
  var multiplier: String {
    products.rawValue + (products == .openBLAS ? " (\(String(cString: mmd_blas_core())))" : "")
  }

  public var computesRowsApart: Bool { products != .openBLAS }
  public var multipliesBFloat16: Bool { products.multipliesBFloat16 }
  public var peakMemory: Int { pool.peak }
  /// How many cores the launcher and the system let this process run on.
  public static var allowedCores: Int { Int(mmd_allowed_cores()) }

  public func empty(_ shape: [Int], _ dtype: DType) -> Tensor {
    Tensor(storage: pool.storage(shape.reduce(1, *) * dtype.size), shape: shape, dtype: dtype)
  }

  func floats(_ shape: [Int]) -> Tensor { empty(shape, .float32) }

  public func zeros(_ shape: [Int]) -> Tensor {
    let y = floats(shape)
    workers.runs(of: y.count, size: elementsPerPiece) { memset(y.floats + $0.lowerBound, 0, $0.count * 4) }
    return y
  }

  public func tensor(_ values: [Float], _ shape: [Int]) -> Tensor {
    let y = floats(shape)
    precondition(values.count == y.count, "tensor: \(values.count) values for \(shape)")
    values.withUnsafeBytes { if let from = $0.baseAddress { memcpy(y.bytes, from, $0.count) } }
    return y
  }

  public func tensor(_ values: [Int32]) -> Tensor {
    let y = empty([values.count], .int32)
    values.withUnsafeBytes { if let from = $0.baseAddress { memcpy(y.bytes, from, $0.count) } }
    return y
  }

  public func read(_ tensor: Tensor) -> [Float] {
    Array(UnsafeBufferPointer(start: cast(tensor, to: .float32).floats, count: tensor.count))
  }

  public func adopt(_ bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, owner: AnyObject) -> Tensor {
    precondition(bytes.count == shape.reduce(1, *) * dtype.size, "adopt: \(bytes.count) bytes for \(shape) \(dtype)")
    guard let base = bytes.baseAddress else { return empty(shape, dtype) }
    guard Int(bitPattern: base) % dtype.size == 0 else {  // files may place tensors at odd addresses
      let y = empty(shape, dtype)
      memcpy(y.bytes, base, bytes.count)
      return y
    }
    let storage = Storage(address: UnsafeMutableRawPointer(mutating: base), byteCount: bytes.count) { [owner] in
      withExtendedLifetime(owner) {}
    }
    return Tensor(storage: storage, shape: shape, dtype: dtype)
  }

  public func withBytes<R>(of tensor: Tensor, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(start: tensor.bytes, count: tensor.byteCount))
  }

  public func overwrite(_ tensor: Tensor, with bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count == tensor.byteCount, "overwrite: \(bytes.count) bytes for \(tensor)")
    if let from = bytes.baseAddress { memcpy(tensor.bytes, from, bytes.count) }
  }

  public func cast(_ x: Tensor, to dtype: DType) -> Tensor {
    precondition(x.nf4 == nil, "cast: \(x) → \(dtype)")
    if x.dtype == dtype { return x }
    if dtype == .bfloat16, x.dtype != .float32 { return cast(cast(x, to: .float32), to: dtype) }
    let y = empty(x.shape, dtype)
    workers.runs(of: x.count, size: elementsPerPiece) { range in
      let (from, to) = (range.lowerBound, range.count)
      switch (x.dtype, dtype) {
      case (.bfloat16, .float32): mmd_bf16_to_f32(x.halves + from, y.floats + from, to)
      case (.float16, .float32): mmd_f16_to_f32(x.halves + from, y.floats + from, to)
      case (.float32, .bfloat16): mmd_f32_to_bf16(x.floats + from, y.halves + from, to)
      case (.float64, .float32):
        let doubles = x.bytes.assumingMemoryBound(to: Double.self)
        for i in range { y.floats[i] = Float(doubles[i]) }
      default: preconditionFailure("cast: \(x.dtype) → \(dtype)")
      }
    }
    return y
  }

  /// How many elements one piece of element-by-element work holds.
  let elementsPerPiece = 1 << 15

  /// How many rows of `width` one piece of row-by-row work holds.
  func rowsPerPiece(_ width: Int) -> Int { max(1, elementsPerPiece / max(width, 1)) }
}

/// A new tensor that a kernel writes as f32 or as bf16.
struct Output {
  let tensor: Tensor
  private let isHalf: Bool

  init(_ tensor: Tensor) {
    self.tensor = tensor
    isHalf = tensor.dtype == .bfloat16
    precondition(isHalf || tensor.dtype == .float32, "\(tensor) is written as F32 or BF16")
  }

  func floats(_ offset: Int) -> UnsafeMutablePointer<Float>? { isHalf ? nil : tensor.floats + offset }
  func halves(_ offset: Int) -> UnsafeMutablePointer<UInt16>? { isHalf ? tensor.halves + offset : nil }
}

extension Tensor {
  var bytes: UnsafeMutableRawPointer { storage.address + offset }
  var floats: UnsafeMutablePointer<Float> {
    precondition(dtype == .float32 && nf4 == nil, "\(self) is read as F32")
    return bytes.assumingMemoryBound(to: Float.self)
  }
  var halves: UnsafeMutablePointer<UInt16> {
    precondition(nf4 == nil, "\(self) is read as 16-bit numbers")
    return bytes.assumingMemoryBound(to: UInt16.self)
  }
  var integers: UnsafeMutablePointer<Int32> {
    precondition(dtype == .int32, "\(self) is read as I32")
    return bytes.assumingMemoryBound(to: Int32.self)
  }
}
