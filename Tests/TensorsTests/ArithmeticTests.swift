import Tensors
import XCTest

final class ArithmeticTests: XCTestCase {
  /// What results depend on is named, what they do not depend on is not.
  func testTheArithmeticNamesKernelsAndProcessor() throws {
    let arithmetic = try CPUBackend(threads: 1, bf16Products: .widened).arithmetic
    XCTAssertEqual(try CPUBackend(threads: 3, bf16Products: .widened).arithmetic, arithmetic)
    XCTAssertTrue(arithmetic.contains(BF16Products.widened.rawValue))
    #if arch(x86_64)
      for words in ["vendor_id", "cpu family", "model\t", "flags", " sse2"] {
        XCTAssertTrue(arithmetic.contains(words), "no '\(words)' in \(arithmetic)")
      }
    #endif
    XCTAssertFalse(arithmetic.contains("MHz"))
  }
}
