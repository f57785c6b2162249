import Dispatch
import Synchronization
import XCTest

@testable import Tensors

final class WorkersTests: XCTestCase {
  func testEveryPieceRunsOnce() {
    for threads in [1, 2, 3, 9] {
      let workers = Workers(count: threads)
      for pieces in [0, 1, 2, 7, 1000] {
        let counts = (0..<pieces).map { _ in Counter() }
        workers.run(pieces) { counts[$0].value.add(1, ordering: .relaxed) }
        XCTAssertEqual(counts.map { $0.value.load(ordering: .relaxed) }, Array(repeating: 1, count: pieces))
      }
    }
  }

  func testManyShortRunsAndPauses() {
    let workers = Workers(count: 4)
    let sum = Counter()
    for round in 0..<3000 {
      if round % 500 == 0 { usleep(2000) }  // long enough for helpers to fall asleep
      workers.run(5) { sum.value.add($0, ordering: .relaxed) }
    }
    XCTAssertEqual(sum.value.load(ordering: .relaxed), 30_000)
  }

  func testWorkWithinAPieceAndFromOtherThreads() {
    let workers = Workers(count: 3)
    let sum = Counter()
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      for _ in 0..<200 {
        workers.run(3) { _ in workers.run(4) { sum.value.add($0, ordering: .relaxed) } }
      }
    }
    XCTAssertEqual(sum.value.load(ordering: .relaxed), 4 * 200 * 3 * 6)
  }

  func testPoolsComeAndGo() {
    for _ in 0..<200 {
      let sum = Counter()
      Workers(count: 4).run(8) { sum.value.add($0, ordering: .relaxed) }
      XCTAssertEqual(sum.value.load(ordering: .relaxed), 28)
    }
  }

  private final class Counter: Sendable { let value = Atomic<Int>(0) }
}
