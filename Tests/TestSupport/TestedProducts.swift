import SoftwareTiles
import Tensors

extension ProductKernels {
  /// Those of this processor, and AMX: on tiles in software where it has none of its own.
  public static var tested: [ProductKernels] {
    available.contains(.amx) || !available.contains(.avx512BF16) ? available : [.amx] + available
  }

  public func backend(threads: Int) throws -> CPUBackend {
    try Self.available.contains(self)
      ? CPUBackend(threads: threads, products: self) : Self.softwareTiles(threads: threads)
  }

  /// AMX on tiles in software, wherever there is AVX-512 with bf16 products.
  public static func softwareTiles(threads: Int) throws -> CPUBackend {
    try CPUBackend(threads: threads, products: .amx, kernel: software_tiles_product)
  }
}
