import XCTest

@testable import Parallel

final class ReductionTreeTests: XCTestCase {
  /// The tree as its definition says it, written out as text.
  private func reference(_ start: Int, _ size: Int, leaves: Int) -> String? {
    guard start < leaves else { return nil }
    guard size > 1 else { return "\(start)" }
    let left = reference(start, size / 2, leaves: leaves) ?? ""
    guard let right = reference(start + size / 2, size / 2, leaves: leaves) else { return left }
    return "(\(left)+\(right))"
  }

  private func reference(leaves: Int) -> String? {
    var size = 1
    while size < leaves { size *= 2 }
    return reference(0, size, leaves: leaves)
  }

  func testReferenceItself() {
    XCTAssertEqual(reference(leaves: 5), "(((0+1)+(2+3))+4)")
    XCTAssertEqual(reference(leaves: 7), "(((0+1)+(2+3))+((4+5)+6))")
  }

  func testEveryRankCountGivesTheSameTree() {
    for leaves in 1...40 {
      for ranks in [1, 2, 3, 4, 5, 7, 8, 9, 50] {
        let plan = GlobalReduction(leaves: leaves, ranks: ranks)
        var sums: [String] = []
        for local in plan.local {
          var slots = Array(repeating: "", count: local.slots)
          for (index, step) in zip(local.run, local.steps) {
            if step.merges == 0 {
              slots[step.slot] = "\(index)"
            } else {
              var source = "\(index)"
              for slot in stride(from: step.slot - 1, through: step.slot - step.merges, by: -1) {
                slots[slot] = "(\(slots[slot])+\(source))"
                source = slots[slot]
              }
            }
          }
          sums += slots.prefix(local.nodes.count)
        }
        for merge in plan.merges { sums[merge.target] = "(\(sums[merge.target])+\(sums[merge.source]))" }
        let root = plan.merges.last?.target ?? 0
        XCTAssertEqual(sums[root], reference(leaves: leaves), "\(leaves) leaves on \(ranks) ranks")
      }
    }
  }

  func testFewBuffers() {
    XCTAssertEqual(LocalReduction(run: 0..<1, of: 1).slots, 1)
    XCTAssertEqual(LocalReduction(run: 0..<8, of: 8).slots, 3)
    XCTAssertEqual(LocalReduction(run: 0..<8, of: 8).nodes, [TreeNode(start: 0, size: 8)])
    XCTAssertEqual(LocalReduction(run: 4..<5, of: 5).nodes, [TreeNode(start: 4, size: 4)])
    XCTAssertEqual(
      LocalReduction(run: 3..<7, of: 9).nodes,
      [TreeNode(start: 3, size: 1), TreeNode(start: 4, size: 2), TreeNode(start: 6, size: 1)])
    for ranks in 1...9 {
      for local in GlobalReduction(leaves: 1000, ranks: ranks).local { XCTAssertLessThanOrEqual(local.slots, 18) }
    }
  }

  func testOnePartialARankWhenPowersOfTwo() {
    for ranks in [1, 2, 4, 8] {
      XCTAssertEqual(
        GlobalReduction(leaves: 16, ranks: ranks).local.map(\.nodes.count), Array(repeating: 1, count: ranks))
    }
  }

  func testRunsOfMicroBatches() {
    for count in 0...20 {
      for ranks in 1...25 {
        let runs = (0..<ranks).map { microBatches(rank: $0, of: ranks, count: count) }
        XCTAssertEqual(runs.flatMap { Array($0) }, Array(0..<count))
        XCTAssertLessThanOrEqual((runs.map(\.count).max() ?? 0) - (runs.map(\.count).min() ?? 0), 1)
      }
    }
    XCTAssertEqual((0..<3).map { microBatches(rank: $0, of: 3, count: 8) }, [0..<2, 2..<5, 5..<8])
  }

  func testBucketLayout() {
    let layout = BucketLayout(parameterSizes: [10, 20, 0, 1000, 5], bucketBytes: 256)
    XCTAssertEqual(layout.buckets.map(\.parameters), [0..<3, 3..<4, 4..<5])
    XCTAssertEqual(layout.starts, [0, 16, 48, 64, 1088])
    XCTAssertEqual(layout.buckets.map(\.elements), [0..<64, 64..<1088, 1088..<1120])
    XCTAssertEqual(layout.bucketOf, [0, 0, 0, 1, 2])
    XCTAssertEqual((0..<5).map(layout.countPlace), [48, 49, 50, 1072, 1104])
    XCTAssertEqual(BucketLayout(parameterSizes: []).count, 0)
  }

  /// What is on its way when a large gradient is complete delays that: buckets shrink before it, and before the end.
  func testBucketsShrinkBeforeALargeParameter() {
    let small = Array(repeating: 4096, count: 100)
    let layout = BucketLayout(parameterSizes: small + [500_000] + small.prefix(10))
    XCTAssertEqual(layout.buckets.map(\.parameters.count), [33, 22, 14, 10, 6, 4, 3, 3, 3, 2, 1, 3, 3, 3, 1])
    XCTAssertEqual(BucketLayout(parameterSizes: Array(repeating: 1 << 18, count: 3)).buckets.count, 3)
    let many = BucketLayout(parameterSizes: Array(repeating: 4096, count: 10_000))
    XCTAssertEqual(many.buckets[0].parameters.count, 63, "far from the end a bucket is as large as it may be")
  }

  func testSlicesCoverThePart() {
    for ranks in 1...9 {
      for count in [1, 15, 16, 17, 100, 1000] {
        let slices = BucketExchange.slices(of: 7..<7 + count, ranks: ranks)
        XCTAssertEqual(slices.count, ranks)
        XCTAssertEqual(slices.flatMap { Array($0) }, Array(7..<7 + count))
      }
    }
  }
}
