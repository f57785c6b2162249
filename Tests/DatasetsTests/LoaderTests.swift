import Foundation
import Ground
import XCTest

@testable import Datasets

final class LoaderTests: XCTestCase {
  /// Makes samples whose only token is the record's number, taking the longer the smaller it is; counts them.
  private final class Maker: @unchecked Sendable {
    private let lock = NSLock()
    private var made: Set<Int> = []
    let bad: Set<Int>
    init(bad: Set<Int> = []) { self.bad = bad }

    var count: Int { lock.withLock { made.count } }
    func callAsFunction(_ record: Int) throws -> Sample {
      usleep(UInt32(2000 / (record + 1)))
      lock.withLock { _ = made.insert(record) }
      if bad.contains(record) { throw Fault(.badData, "broken", at: "f:\(record)", "mend it") }
      return Sample(
        ids: [Int32(record)], supervised: [true], pixels: [], imagePositions: [], place: "f:\(record)", index: record)
    }
  }

  private func loader(
    _ maker: Maker, steps: Range<Int>, rank: Int = 0, of ranks: Int = 1, ahead: Loader.LookAhead = .init(threads: 4)
  ) throws -> Loader {
    let sampler = try Sampler(counts: [1_000_000_000], weights: [1], shuffle: false, seed: 0)
    return Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: 5, microBatch: 2), steps: steps, rank: rank, of: ranks,
      lookAhead: ahead, makeSample: { try maker($0) })
  }

  /// How many samples are made once `count` are, and a little later.
  private func settled(_ maker: Maker, at count: Int) -> Int {
    let deadline = Date(timeIntervalSinceNow: 20)
    while maker.count < count, Date() < deadline { usleep(1000) }
    usleep(20_000)
    return maker.count
  }

  private func drain(_ loader: Loader) throws -> [[Int]] {
    var rows: [[Int]] = []
    while let next = try loader.next() {
      XCTAssertGreaterThanOrEqual(next.secondsWaited, 0)
      rows.append([next.step, next.microBatch] + next.batch.indices)
    }
    return rows
  }

  func testMicroBatchesComeInOrder() throws {
    let loader = try loader(Maker(), steps: 1..<3)
    XCTAssertEqual(
      try drain(loader), [[1, 0, 0, 1], [1, 1, 2, 3], [1, 2, 4], [2, 0, 5, 6], [2, 1, 7, 8], [2, 2, 9]])
    XCTAssertNil(try loader.next())
  }

  func testRanksAndResume() throws {
    XCTAssertEqual(
      try drain(loader(Maker(), steps: 3..<5, rank: 1, of: 2)),
      [[3, 1, 12, 13], [3, 2, 14], [4, 1, 17, 18], [4, 2, 19]])
    XCTAssertEqual(try drain(loader(Maker(), steps: 3..<4, rank: 0, of: 2)), [[3, 0, 10, 11]])
    XCTAssertEqual(try drain(loader(Maker(), steps: 3..<5, rank: 0, of: 4)), [])
    XCTAssertEqual(try drain(loader(Maker(), steps: 3..<3)), [])
  }

  func testAnErrorComesAtItsPlace() throws {
    let loader = try loader(Maker(bad: [6, 8]), steps: 1..<100)
    for microBatch in 0..<3 { XCTAssertEqual(try loader.next()?.microBatch, microBatch) }
    for _ in 0..<3 { XCTAssertEqual(try thrownFault { _ = try loader.next() }.place, "f:6") }
  }

  func testWhatIsReadyIsTakenWithoutWaiting() throws {
    let maker = Maker(bad: [2])
    let gate = DispatchSemaphore(value: 0)
    let loader = Loader(
      sampler: try Sampler(counts: [10], weights: [1], shuffle: false, seed: 0),
      plan: BatchPlan(globalBatch: 1, microBatch: 1), steps: 1..<5, lookAhead: .init(threads: 1)
    ) { record in
      gate.wait()
      return try maker(record)
    }
    func ready() -> Int? {
      let deadline = Date(timeIntervalSinceNow: 20)
      while Date() < deadline {
        if let next = loader.nextIfReady() { return next.batch.indices[0] }
        usleep(1000)
      }
      return nil
    }
    XCTAssertNil(loader.nextIfReady())
    gate.signal()
    XCTAssertEqual(ready(), 0)
    XCTAssertNil(loader.nextIfReady(), "the next one is not ready")
    gate.signal()
    XCTAssertEqual(try loader.next()?.batch.indices, [1], "nothing was skipped")
    gate.signal()
    XCTAssertEqual(settled(maker, at: 3), 3)
    XCTAssertNil(loader.nextIfReady())
    XCTAssertEqual(try thrownFault { _ = try loader.next() }.place, "f:2", "a failure is left to next")
    XCTAssertNil(loader.nextIfReady())
  }

  func testLooksAheadOnlySoFar() throws {
    let maker = Maker()
    let loader = try loader(maker, steps: 1..<1000, ahead: .init(threads: 3, microBatches: 4))
    XCTAssertEqual(settled(maker, at: 7), 7, "four micro-batches of 2, 2, 1, 2")
    XCTAssertNotNil(try loader.next())
    XCTAssertEqual(settled(maker, at: 9), 9)
  }

  func testLooksAheadOnlySoManyBytes() throws {
    let maker = Maker()
    let loader = try loader(maker, steps: 1..<1000, ahead: .init(threads: 1, microBatches: 1000, bytes: 40))
    XCTAssertEqual(settled(maker, at: 5), 5, "a micro-batch of two takes 16 bytes, of one 8; two and the last reach 40")
    XCTAssertEqual(try (0..<6).map { _ in try loader.next()?.batch.indices ?? [] }.joined().count, 10)
  }

  func testCancelStopsAtOnce() throws {
    let maker = Maker()
    let loader = try loader(maker, steps: 1..<1000, ahead: .init(threads: 2, microBatches: 1000))
    XCTAssertNotNil(try loader.next())
    loader.cancel()
    let made = maker.count
    usleep(20_000)
    XCTAssertEqual(maker.count, made)
    XCTAssertNil(try loader.next())
  }

  func testCancelWakesTheOneWhoWaits() throws {
    let gate = DispatchSemaphore(value: 0)
    let sampler = try Sampler(counts: [10], weights: [1], shuffle: false, seed: 0)
    let loader = Loader(sampler: sampler, plan: BatchPlan(globalBatch: 1, microBatch: 1), steps: 1..<9) { _ in
      gate.wait()
      throw Fault(.badData, "late", "none")
    }
    Thread { [loader] in
      usleep(20_000)
      for _ in 0..<9 { gate.signal() }
      loader.cancel()
    }.start()
    _ = try? loader.next()
    loader.cancel()
    XCTAssertNil(try loader.next())
  }

  /// There is more to make than could ever be made.
  func testLettingGoStopsTheThreads() throws {
    let maker = Maker()
    let ahead = Loader.LookAhead(threads: 2, microBatches: .max, bytes: .max)
    do { _ = try XCTUnwrap(loader(maker, steps: 1..<100_000_000, ahead: ahead).next()) }
    let made = maker.count
    usleep(20_000)
    XCTAssertEqual(maker.count, made)
  }

  func testTheWaitIsMeasured() throws {
    let gate = DispatchSemaphore(value: 0)
    let sampler = try Sampler(counts: [10], weights: [1], shuffle: false, seed: 0)
    let loader = Loader(
      sampler: sampler, plan: BatchPlan(globalBatch: 1, microBatch: 1), steps: 1..<2,
      lookAhead: .init(threads: 1, microBatches: 1)
    ) { record in
      gate.wait()
      return Sample(ids: [1], supervised: [true], pixels: [], imagePositions: [], place: "f", index: record)
    }
    Thread {
      usleep(500_000)
      gate.signal()
    }.start()
    let start = ContinuousClock.now
    let waited = try XCTUnwrap(loader.next()).secondsWaited
    XCTAssertGreaterThan(waited, 0.03)
    XCTAssertLessThanOrEqual(waited, (ContinuousClock.now - start) / .seconds(1))
  }
}
