import Tensors
import XCTest

final class ArithmeticTests: XCTestCase {
  /// What results depend on is named, what they do not depend on is not.
  func testTheArithmeticNamesKernelsAndProcessor() throws {
    var all: Set<String> = []
    for products in ProductKernels.available {
      let own = try CPUBackend(threads: 1, products: products).arithmetic
      XCTAssertEqual(try CPUBackend(threads: 3, products: products).arithmetic, own)
      XCTAssertTrue(own.contains(products.rawValue))
      all.insert(own)
    }
    XCTAssertEqual(all.count, ProductKernels.available.count)
    let arithmetic = try XCTUnwrap(all.first)
    #if arch(x86_64)
      for words in ["vendor_id", "cpu family", "model\t", "flags", " sse2"] {
        XCTAssertTrue(arithmetic.contains(words), "no '\(words)' in \(arithmetic)")
      }
    #endif
    XCTAssertFalse(arithmetic.contains("MHz"))
  }
}
