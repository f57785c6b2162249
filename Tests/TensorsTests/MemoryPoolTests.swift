import XCTest

@testable import Tensors

final class MemoryPoolTests: XCTestCase {
  /// A generator whose numbers are the same in every run.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64 = 7
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }

  func testMemoryIsAlignedAndNobodyElses() {
    let pool = MemoryPool()
    var numbers = Numbers()
    var kept: [(storage: Storage, mark: UInt8)] = []
    for round in 0..<4000 {
      if kept.count < 60, round % 3 != 2 {
        let size = Int.random(in: 0...12, using: &numbers)
        let storage = pool.storage(Int.random(in: 0...(1 << (size * 2)), using: &numbers))
        XCTAssertEqual(Int(bitPattern: storage.address) % 64, 0)
        let mark = UInt8(truncatingIfNeeded: round)
        memset(storage.address, Int32(mark), storage.byteCount)
        kept.append((storage, mark))
      } else {
        let (storage, mark) = kept.remove(at: Int.random(in: 0..<kept.count, using: &numbers))
        let bytes = UnsafeRawBufferPointer(start: storage.address, count: storage.byteCount)
        XCTAssertTrue(bytes.allSatisfy { $0 == mark }, "\(storage.byteCount) bytes were overwritten")
      }
    }
  }

  /// Activations of layers over numbers of tokens that differ from step to step.
  func testRaggedStepsHoldWhatTheLongestNeeds() {
    let pool = MemoryPool()
    var numbers = Numbers()
    for _ in 0..<200 {
      let tokens = Int.random(in: 60...2000, using: &numbers)
      var layers: [Storage] = []
      for _ in 0..<12 {
        let widths = [576, 192, 192, 576, 1536, 1536, 1536, 16, 48]
        let own = widths.map { pool.storage(tokens * $0 * 4) }
        layers += own.indices.filter { $0 % 3 != 1 }.map { own[$0] }
      }
    }
    XCTAssertGreaterThan(pool.peak, 300 << 20)
    XCTAssertLessThan(Double(pool.held), 1.3 * Double(pool.peak))
  }

  func testStepsOfOneShapeAskForNothingMore() {
    let pool = MemoryPool()
    func step() { _ = (1...200).map { pool.storage($0 * 10_000) } }
    step()
    let held = pool.held
    for _ in 0..<20 { step() }
    XCTAssertEqual(pool.held, held)
  }

  func testWhatWasFreedLastComesFirst() {
    let pool = MemoryPool()
    let others = (0..<8).map { _ in pool.storage(5000) }
    let address = others[3].address
    withExtendedLifetime(others) {
      let own = pool.storage(5000).address
      XCTAssertEqual(pool.storage(4990).address, own, "still in the caches")
      XCTAssertNotEqual(own, address)
    }
  }

  func testFreeNeighboursAreOneBlock() {
    let pool = MemoryPool()
    var blocks: [Storage?] = (0..<60).map { _ in pool.storage(1 << 20) }
    let held = pool.held
    // Every second one first, so that those between have free blocks on both sides.
    for odd in [1, 0] { for i in stride(from: odd, to: 60, by: 2) { blocks[i] = nil } }
    _ = pool.storage(60 << 20)
    XCTAssertEqual(pool.held, held)
  }

  func testThreadsShareIt() {
    let pool = MemoryPool()
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      for round in 1...2000 {
        let storage = pool.storage(round * 64)
        storage.address.storeBytes(of: thread, as: Int.self)
        XCTAssertEqual(storage.address.load(as: Int.self), thread)
      }
    }
    XCTAssertLessThan(pool.peak, 4 * (2001 * 64 + 64))
  }
}
