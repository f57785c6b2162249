import XCTest

@testable import Tensors

/// How outputs of products are cut for threads.
final class ProductTileTests: XCTestCase {
  private func tile(_ m: Int, _ n: Int, threads: Int?) -> ProductTile {
    ProductTile(m: m, n: n, rowSize: ProductTile.rowSize(m: m, n: n, threads: threads))
  }

  func testTilesCoverEveryElementOnce() {
    for (m, n) in [(1, 1), (47, 130), (96, 64), (265, 257), (1288, 896), (3000, 16)] {
      for threads in [nil, 1, 2, 7, 32] {
        let tile = tile(m, n, threads: threads)
        var counts = [Int](repeating: 0, count: m * n)
        for piece in 0..<tile.count {
          let (rows, columns) = tile[piece]
          for row in rows { for column in columns { counts[row * n + column] += 1 } }
        }
        XCTAssertEqual(Set(counts), [1], "\(m) × \(n) for \(threads ?? 0)")
        XCTAssertEqual(tile.rowSize % 12, 0, "blocks of 6 and of 12 rows")
      }
    }
  }

  func testThreadsEndTogether() {
    // [rows, columns] for so many threads: 5 × 7 tiles of 258 rows would leave one of two threads waiting for one tile.
    let wanted = [
      (1288, 896, 1, 5 * 7), (1288, 896, 2, 6 * 7), (1288, 896, 8, 9 * 7), (1288, 4864, 2, 5 * 38),
      (528, 576, 2, 2 * 5), (528, 1536, 8, 4 * 12), (528, 192, 2, 4 * 3), (66, 896, 2, 7),
    ]
    for (m, n, threads, count) in wanted {
      XCTAssertEqual(tile(m, n, threads: threads).count, count, "\(m) × \(n) for \(threads)")
    }
  }

  /// Where a thread has many tiles, looking for a better cut would take longer than waiting for the last.
  func testManyTilesAreTakenAsTheyCome() {
    XCTAssertEqual(tile(32_772, 11_008, threads: 192).rowSize, 276)
    XCTAssertEqual(tile(1288, 4864, threads: 4).rowSize, 264, "of 216 rows they would end together by a hair")
  }
}
