import XCTest

@testable import Datasets

final class KeyedPermutationTests: XCTestCase {
  func testIsAPermutation() {
    for count in [1, 2, 3, 15, 16, 17, 255, 256, 257, 1000, 4096, 10_007] {
      for key in [0, 7, UInt64.max] {
        let permutation = KeyedPermutation(count: count, key: key)
        XCTAssertEqual(Set((0..<count).map { permutation($0) }), Set(0..<count), "\(count)")
      }
    }
  }

  func testLargeCounts() {
    let count = 3_000_000_019
    let permutation = KeyedPermutation(count: count, key: 9)
    let images = (0..<2000).map { permutation($0) }
    XCTAssert(images.allSatisfy { $0 >= 0 && $0 < count })
    XCTAssertEqual(Set(images).count, 2000)
    let mean = images.reduce(0.0) { $0 + Double($1) / Double(count) } / 2000
    XCTAssertEqual(mean, 0.5, accuracy: 4.5 * 0.2887 / 2000.0.squareRoot())
  }

  /// All 24 orders of four come equally often, by a χ² test on 23 degrees of freedom (99.99 %: 58.6).
  func testOrdersAreUniform() {
    var times: [[Int]: Int] = [:]
    let keys: UInt64 = 24_000
    for key in 0..<keys {
      let permutation = KeyedPermutation(count: 4, key: scramble(key))
      times[(0..<4).map { permutation($0) }, default: 0] += 1
    }
    XCTAssertEqual(times.count, 24)
    let chiSquare = times.values.reduce(0.0) { $0 + (Double($1) - 1000) * (Double($1) - 1000) / 1000 }
    XCTAssertLessThan(chiSquare, 58.6)
  }

  /// Neighbours are torn apart: each of 50 cells is as likely for the image of 1, whatever the image of 0 is.
  func testNeighboursAreIndependent() {
    var distances = [Int](repeating: 0, count: 50)
    for key in 0..<20_000 as Range<UInt64> {
      let permutation = KeyedPermutation(count: 50, key: scramble(key))
      distances[(permutation(1) - permutation(0) + 50) % 50] += 1
    }
    XCTAssertEqual(distances[0], 0)
    let expected = 20_000.0 / 49
    let chiSquare = distances.dropFirst().reduce(0.0) {
      $0 + (Double($1) - expected) * (Double($1) - expected) / expected
    }
    XCTAssertLessThan(chiSquare, 93.2, "χ² on 48 degrees of freedom, 99.99 %")
  }
}
