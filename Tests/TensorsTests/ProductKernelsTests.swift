import TestSupport
import Tensors
import XCTest

/// What is said of the ways to multiply.
final class ProductKernelsTests: XCTestCase {
  func testRanksThatMultiplyInDifferentWaysAreTold() {
    let old: [ProductKernels] = [.avx512BF16, .avx512, .avx2, .openBLAS]
    let new = [.amx] + old
    XCTAssertNil(ProductKernels.difference(chosen: [.amx], available: [new]))
    XCTAssertNil(ProductKernels.difference(chosen: [.avx2, .avx2], available: [new, [.avx2, .openBLAS]]))
    XCTAssertNil(ProductKernels.difference(chosen: [.avx2, .avx512], available: [new, old]), "the same bits")
    XCTAssertEqual(
      ProductKernels.difference(chosen: [.avx512BF16, .amx, .amx], available: [old, new, new]),
      "ranks multiply in different ways, 2 with AVX-512, bf16 by AMX and 1 with AVX-512, bf16 by AVX512-BF16, so that "
        + "bits in bfloat16 depend on which of them computes what; MMDIST_PRODUCTS=avx512BF16 on all makes their products alike"
    )
    XCTAssertEqual(
      ProductKernels.difference(chosen: [.openBLAS, .avx2], available: [[.openBLAS], new]),
      "ranks multiply in different ways, 1 with AVX2, bf16 widened to f32 and 1 with OpenBLAS, bf16 widened to f32, so "
        + "that bits depend on which of them computes what; MMDIST_PRODUCTS=openBLAS on all makes their products alike")
  }

  func testSummarySaysHow() throws {
    for way in ProductKernels.tested {
      XCTAssertTrue(try way.backend(threads: 1).summary.contains("products \(way.rawValue)"))
    }
  }
}
