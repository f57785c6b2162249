import Ground
import XCTest

@testable import Datasets

final class BatchTests: XCTestCase {
  private func picture(_ value: Float, side: Int = 2) -> Pixels {
    Pixels(values: [Float](repeating: value, count: 3 * side * side), height: side, width: side)
  }

  func testSamplesStandOneAfterAnother() throws {
    let first = Sample(
      ids: [1, 9, 9, 5, 6], supervised: [true, false, false, true, true], pixels: [picture(0.5)],
      imagePositions: [1, 2], place: "f:1", index: 30)
    let text = Sample(
      ids: [7, 8, 2], supervised: [true, false, true], pixels: [], imagePositions: [], place: "f:2", index: 31)
    let two = Sample(
      ids: [9, 9, 9, 9, 4], supervised: [false, false, false, false, true], pixels: [picture(1), picture(2)],
      imagePositions: [0, 1, 2, 3], place: "f:3", index: 2)
    let batch = try Batch([first, text, two])
    XCTAssertEqual(batch.ids, [1, 9, 9, 5, 6, 7, 8, 2, 9, 9, 9, 9, 4])
    XCTAssertEqual(batch.positions, [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4])
    XCTAssertEqual(batch.offsets, [0, 5, 8, 13])
    XCTAssertEqual(batch.targetRows, [2, 3, 6, 11], "the first token of a sample has no row before it")
    XCTAssertEqual(batch.targetIDs, [5, 6, 2, 4])
    XCTAssertEqual(batch.targetOffsets, [0, 2, 3, 4])
    XCTAssertEqual(batch.imageRows, [1, 2, 8, 9, 10, 11])
    XCTAssertEqual(batch.pixelShape, [3, 3, 2, 2])
    XCTAssertEqual(batch.pixels, [0.5, 1, 2].flatMap { [Float](repeating: $0, count: 12) })
    XCTAssertEqual(batch.indices, [30, 31, 2])
    XCTAssertEqual(batch.places, ["f:1", "f:2", "f:3"])
    XCTAssertEqual([batch.tokens, batch.images, batch.supervised], [13, 3, 4])
  }

  func testABatchWithoutImages() throws {
    let batch = try Batch([
      Sample(ids: [3], supervised: [true], pixels: [], imagePositions: [], place: "f:1", index: 0)
    ])
    XCTAssertEqual(batch.images, 0)
    XCTAssertEqual(batch.pixels, [])
    XCTAssertEqual(batch.targetRows, [])
    XCTAssertEqual(batch.targetOffsets, [0, 0])
  }

  func testPicturesWhoseFeaturesAreKnownBringNoPixels() throws {
    let sample = Sample(
      ids: [9, 9, 9, 4], supervised: [false, false, false, true],
      pictures: [.pixels(picture(1), digest: "a"), .features([0.5, 0.25]), .pixels(picture(2), digest: "b")],
      imagePositions: [0, 1, 2], place: "f:1", index: 0)
    XCTAssertEqual(sample.pixels, [picture(1), picture(2)])
    let known = Sample(
      ids: [9, 4], supervised: [false, true], pictures: [.features([3, 4])], imagePositions: [0], place: "f:2", index: 1
    )
    let batch = try Batch([sample, known])
    XCTAssertEqual(
      batch.pictures, [.pixels(digest: "a"), .features([0.5, 0.25]), .pixels(digest: "b"), .features([3, 4])])
    XCTAssertEqual(batch.images, 4)
    XCTAssertEqual(batch.imageRows, [0, 1, 2, 4])
    XCTAssertEqual(batch.pixelShape, [2, 3, 2, 2])
    XCTAssertEqual(batch.pixels, [1, 2].flatMap { [Float](repeating: $0, count: 12) })
    let alone = try Batch([known])
    XCTAssertEqual(alone.pixelShape, [0, 3, 0, 0])
    XCTAssertEqual(alone.images, 1)
  }

  func testPicturesOfTwoSizes() throws {
    let samples = [2, 3].map {
      Sample(
        ids: [9], supervised: [false], pixels: [picture(0, side: $0)], imagePositions: [0], place: "f:\($0)", index: $0)
    }
    let fault = try thrownFault { _ = try Batch(samples) }
    XCTAssertEqual(fault.what, "pictures of 2×2 and 3×3 in one batch")
    XCTAssertEqual(fault.place, "f:3")
  }

  func testPlan() {
    let plan = BatchPlan(globalBatch: 10, microBatch: 4)
    XCTAssertEqual(plan.microBatches, 3)
    XCTAssertEqual((0..<3).map(plan.samples(ofMicroBatch:)), [0..<4, 4..<8, 8..<10])
    XCTAssertEqual((0..<2).map { plan.microBatches(ofRank: $0, of: 2) }, [0..<1, 1..<3])
    XCTAssertEqual((0..<5).map { plan.microBatches(ofRank: $0, of: 5) }, [0..<0, 0..<1, 1..<1, 1..<2, 2..<3])
    XCTAssertEqual(BatchPlan(globalBatch: 4, microBatch: 9).samples(ofMicroBatch: 0), 0..<4)
  }
}
