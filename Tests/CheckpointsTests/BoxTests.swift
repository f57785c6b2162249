import Checkpoints
import XCTest

final class BoxTests: XCTestCase {
  func testCut() {
    XCTAssertEqual(Box.cut([], elements: 1), [Box(offset: [], size: [])])
    XCTAssertEqual(Box.cut([5], elements: 5), [Box(offset: [0], size: [5])])
    XCTAssertEqual(Box.cut([3, 0], elements: 1), [Box(offset: [0, 0], size: [3, 0])])
    XCTAssertEqual(
      Box.cut([5, 2], elements: 5),
      [
        Box(offset: [0, 0], size: [2, 2]), Box(offset: [2, 0], size: [2, 2]), Box(offset: [4, 0], size: [1, 2]),
      ])
    XCTAssertEqual(
      Box.cut([2, 3], elements: 2),
      [
        Box(offset: [0, 0], size: [1, 2]), Box(offset: [0, 2], size: [1, 1]), Box(offset: [1, 0], size: [1, 2]),
        Box(offset: [1, 2], size: [1, 1]),
      ])
  }

  func testCutsCoverInOrder() throws {
    for shape in [[7], [7, 9], [2, 3, 5], [1, 1, 64], [4, 1, 3, 2]] {
      for elements in 1...shape.reduce(1, *) {
        let boxes = Box.cut(shape, elements: elements)
        XCTAssertEqual(Box.cover(boxes, shape), true)
        var reached = 0
        for box in boxes {
          XCTAssertLessThanOrEqual(box.elementCount, elements)
          XCTAssertEqual(box.contiguousStart(in: shape), reached, "\(shape) \(elements)")
          reached += box.elementCount
        }
      }
    }
  }

  /// Against counting the boxes over every element, for all pairs and some triples of boxes of a 3 × 4 tensor.
  func testCoverAgainstCounting() {
    let shape = [3, 4]
    var all: [Box] = []
    for top in 0..<3 {
      for left in 0..<4 {
        for height in 0...3 - top {
          for width in 0...4 - left {
            all.append(Box(offset: [top, left], size: [height, width]))
          }
        }
      }
    }
    func counted(_ boxes: [Box]) -> Bool {
      (0..<3).allSatisfy { y in
        (0..<4).allSatisfy { x in
          boxes.filter { box in
            box.offset[0]..<box.offset[0] + box.size[0] ~= y && box.offset[1]..<box.offset[1] + box.size[1] ~= x
          }.count == 1
        }
      }
    }
    var covers = 0
    for (i, a) in all.enumerated() {
      XCTAssertEqual(Box.cover([a], shape), counted([a]))
      for (j, b) in all.enumerated() where j >= i {
        XCTAssertEqual(Box.cover([a, b], shape), counted([a, b]))
        for c in all[j...] where (i + j) % 7 == 0 {
          let boxes = [a, b, c]
          XCTAssertEqual(Box.cover(boxes, shape), counted(boxes))
          covers += counted(boxes) ? 1 : 0
        }
      }
    }
    XCTAssertGreaterThan(covers, 10)
  }

  func testCoverAtTheEdges() {
    XCTAssertEqual(Box.cover([], [2]), false)
    XCTAssertEqual(Box.cover([], [0]), true)
    let scalar = Box(offset: [], size: [])
    XCTAssertEqual(Box.cover([scalar], []), true)
    XCTAssertEqual(Box.cover([scalar, scalar], []), false)
    let point = Box(offset: [Int](repeating: 0, count: 30), size: [Int](repeating: 1, count: 30))
    XCTAssertNil(Box.cover([point], [Int](repeating: 2, count: 30)), "2^30 corners are too many to look at")
    // Equal volumes that do not cover: one quarter twice, one never.
    let quarters = [[0, 0], [0, 2], [2, 0], [2, 0]].map { Box(offset: $0, size: [2, 2]) }
    XCTAssertEqual(Box.cover(quarters, [4, 4]), false)
  }

  func testScatterPutsEveryElementInPlace() {
    let shape = [3, 4, 5]
    for box in [
      Box(wholeOf: shape), Box(offset: [1, 0, 0], size: [2, 4, 5]), Box(offset: [0, 1, 0], size: [3, 2, 5]),
      Box(offset: [0, 0, 3], size: [3, 4, 2]), Box(offset: [2, 1, 4], size: [1, 3, 1]),
      Box(offset: [1, 1, 1], size: [0, 2, 2]),
    ] {
      var expected = [UInt16](repeating: 0, count: 60)
      var values: [UInt16] = []
      for z in 0..<box.size[0] {
        for y in 0..<box.size[1] {
          for x in 0..<box.size[2] {
            values.append(UInt16(values.count + 1))
            expected[((box.offset[0] + z) * 4 + box.offset[1] + y) * 5 + box.offset[2] + x] = UInt16(values.count)
          }
        }
      }
      var tensor = [UInt16](repeating: 0, count: 60)
      tensor.withUnsafeMutableBytes { tensor in
        values.withUnsafeBytes { box.scatter($0, into: tensor, shape: shape, elementSize: 2) }
      }
      XCTAssertEqual(tensor, expected, box.slice)
    }
  }

  func testFits() {
    XCTAssertTrue(Box(offset: [2], size: [3]).fits(in: [5]))
    for (offset, size) in [
      ([2], [4]), ([-1], [2]), ([6], [0]), ([0], [-1]), ([Int.max], [Int.max]), ([0, 0], [1, 1]),
    ] {
      XCTAssertFalse(Box(offset: offset, size: size).fits(in: [5]))
    }
    XCTAssertNil(Box(offset: [0, 1], size: [2, 1]).contiguousStart(in: [2, 2]))
    XCTAssertEqual(Box(offset: [1, 1], size: [1, 1]).contiguousStart(in: [2, 2]), 3)
  }
}
