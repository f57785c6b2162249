import Ground
import Synchronization
import XCTest

@testable import Parallel

final class GradientReducerTests: XCTestCase {
  private static let sizes = [700, 3, 0, 17, 2500, 1, 129, 64]

  /// A gradient of wildly different magnitudes, or nil; a function of the place alone.
  private static func gradient(step: Int, microBatch: Int, parameter: Int) -> [Float]? {
    let place = (step * 131 + microBatch) * 17 + parameter
    guard place % 4 != 1, parameter != 5 else { return nil }
    var state = UInt64(place + 1) &* 0x9e37_79b9_7f4a_7c15
    return (0..<sizes[parameter]).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let exponent = Int(state >> 58) - 32
      let sign: FloatingPointSign = state >> 57 & 1 == 0 ? .plus : .minus
      if state >> 20 & 15 == 0 { return sign == .plus ? 0 : -0.0 }
      return Float(sign: sign, exponent: exponent, significand: 1 + Float(state >> 33 & 0xffffff) / 16_777_216)
    }
  }

  /// The sum along the tree as its definition says it, as bit patterns.
  private static func reference(step: Int, count: Int, parameter: Int) -> [UInt32] {
    func node(_ start: Int, _ size: Int) -> [Float]? {
      guard start < count else { return nil }
      if size == 1 {
        return gradient(step: step, microBatch: start, parameter: parameter)
          ?? Array(repeating: 0, count: sizes[parameter])
      }
      let left = node(start, size / 2)
      guard let left, let right = node(start + size / 2, size / 2) else { return left }
      return zip(left, right).map { $0 + $1 }
    }
    return (node(0, 64) ?? []).map(\.bitPattern)
  }

  private struct Step: Sendable {
    var bits: [[UInt32]] = []
    var present: [Bool] = []
  }

  private static func run(
    ranks: Int, nodeSize: Int? = nil, counts: [Int], deterministic: Bool = true, bucketBytes: Int = 2048
  ) throws -> [[Step]] {
    try InProcessCommunicator.run(ranks, nodeSize: nodeSize, patience: 20) { communicator in
      try steps(counts, communicator, deterministic, bucketBytes)
    }
  }

  private static func steps(
    _ counts: [Int], _ communicator: any Communicator, _ deterministic: Bool, _ bucketBytes: Int
  ) throws -> [Step] {
    let layout = BucketLayout(parameterSizes: sizes, bucketBytes: bucketBytes)
    let reducer = GradientReducer(layout: layout, communicator: communicator, deterministic: deterministic)
    return try counts.enumerated().map { step, count in
      try reducer.beginStep(microBatchCount: count)
      for index in microBatches(rank: communicator.rank, of: communicator.count, count: count) {
        for parameter in sizes.indices {
          let values = gradient(step: step, microBatch: index, parameter: parameter)
          // Absent ones are told at times, and left out at others.
          if let values {
            values.withUnsafeBufferPointer { reducer.add(microBatch: index, parameter: parameter, gradient: $0) }
          } else if step % 2 == 0 {
            reducer.add(microBatch: index, parameter: parameter, gradient: nil)
          }
        }
      }
      let result = try reducer.finish()
      return Step(bits: result.gradients.map { $0.map(\.bitPattern) }, present: result.present)
    }
  }

  private func check(_ steps: [Step], counts: [Int], _ note: String) {
    for (step, count) in counts.enumerated() {
      for parameter in Self.sizes.indices {
        XCTAssertTrue(
          steps[step].bits[parameter] == Self.reference(step: step, count: count, parameter: parameter),
          "\(note), \(count) micro-batches, parameter \(parameter)")
        let present = (0..<count).contains { Self.gradient(step: step, microBatch: $0, parameter: parameter) != nil }
        XCTAssertEqual(steps[step].present[parameter], present, "\(note), parameter \(parameter)")
      }
    }
  }

  func testSameBitsOnAnyNumberOfRanks() throws {
    let counts = [1, 2, 3, 5, 8, 16, 17, 1, 4]
    for ranks in [1, 2, 3, 4, 5, 8] {
      for nodeSize in [1, 2, 3, 8] where nodeSize <= ranks {
        for steps in try Self.run(ranks: ranks, nodeSize: nodeSize, counts: counts) {
          check(steps, counts: counts, "\(ranks) ranks, \(nodeSize) a node")
        }
      }
    }
    check(try Self.steps(counts, SingleProcess(), true, 2048), counts: counts, "alone")
  }

  func testSameBitsWithAnyBuckets() throws {
    let counts = [3, 7]
    for bucketBytes in [64, 999, 4 << 20] {
      for nodeSize in [1, 2, 3] {
        for steps in try Self.run(ranks: 3, nodeSize: nodeSize, counts: counts, bucketBytes: bucketBytes) {
          check(steps, counts: counts, "buckets of \(bucketBytes) bytes, \(nodeSize) ranks a node")
        }
      }
    }
  }

  func testPlainSumIsCloseAndTheSameOnAllRanks() throws {
    for ranks in [1, 2, 5] {
      let results = try Self.run(ranks: ranks, counts: [4, 7, 2], deterministic: false)
      for result in results {
        XCTAssertEqual(result.map(\.bits), results[0].map(\.bits))
        for (step, count) in [4, 7, 2].enumerated() {
          for parameter in Self.sizes.indices {
            let reference = Self.reference(step: step, count: count, parameter: parameter)
            for (bits, wanted) in zip(result[step].bits[parameter], reference) {
              XCTAssertEqual(Float(bitPattern: bits), Float(bitPattern: wanted), accuracy: 4096)
            }
          }
          let flags = Self.sizes.indices.map { parameter in
            (0..<count).contains { Self.gradient(step: step, microBatch: $0, parameter: parameter) != nil }
          }
          XCTAssertEqual(result[step].present, flags)
        }
      }
    }
  }

  func testTheOrderOfAdditionMatters() {
    // The figures are such that a plain sum in index order has other bits: the bit tests above mean something.
    var plain = [Float](repeating: 0, count: Self.sizes[4])
    for index in 0..<8 {
      let leaf = Self.gradient(step: 0, microBatch: index, parameter: 4) ?? []
      for i in leaf.indices { plain[i] += leaf[i] }
    }
    XCTAssertNotEqual(plain.map(\.bitPattern), Self.reference(step: 0, count: 8, parameter: 4))
  }

  func testOneMicroBatchAloneIsNotCopied() throws {
    final class Owner { let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 4) }
    let owner = Owner()
    owner.values.initialize(repeating: 3)
    defer { owner.values.deallocate() }
    let layout = BucketLayout(parameterSizes: [4, 2])
    let reducer = GradientReducer(layout: layout, communicator: SingleProcess())
    try reducer.beginStep(microBatchCount: 1)
    reducer.add(microBatch: 0, parameter: 0, gradient: UnsafeBufferPointer(owner.values), owner: owner)
    let result = try reducer.finish()
    XCTAssertEqual(result.gradients[0].baseAddress, UnsafePointer(owner.values.baseAddress))
    XCTAssertEqual(result.present, [true, false])
    XCTAssertEqual(Array(result.gradients[1]), [0, 0])
    XCTAssertEqual(reducer.statistics, CommunicationStatistics())
  }

  func testGradientsThatAreOnlyBorrowedNeedNoMemory() throws {
    final class Owner {}
    let values: [Float] = [1, 2, 3]
    for deterministic in [true, false] {
      let reducer = GradientReducer(
        layout: BucketLayout(parameterSizes: [3, 3]), communicator: SingleProcess(), deterministic: deterministic)
      try values.withUnsafeBufferPointer { gradient in
        try reducer.beginStep(microBatchCount: 1)
        for parameter in 0..<2 {
          reducer.add(microBatch: 0, parameter: parameter, gradient: gradient, owner: Owner())
        }
        XCTAssertEqual(try reducer.finish().gradients.map(Array.init), [values, values])
        XCTAssertEqual(reducer.slotCount, 0)
        // One that is left out is zeros, which lie in a slot.
        try reducer.beginStep(microBatchCount: 1)
        reducer.add(microBatch: 0, parameter: 1, gradient: gradient, owner: Owner())
        let result = try reducer.finish()
        XCTAssertEqual(result.gradients.map(Array.init), [[0, 0, 0], values])
        XCTAssertEqual(result.present, [false, true])
        XCTAssertEqual(reducer.slotCount, 1)
      }
    }
  }

  func testBucketsGoOutInOrderAndEarly() throws {
    let logs = try InProcessCommunicator.run(3, patience: 20) { inner in
      let communicator = Recorder(inner)
      let layout = BucketLayout(parameterSizes: [16, 16, 16], bucketBytes: 64)
      XCTAssertEqual(layout.buckets.count, 3)
      let reducer = GradientReducer(layout: layout, communicator: communicator)
      var log: [Int] = []
      // Rank 0 has no micro-batch, ranks 1 and 2 have one.
      try reducer.beginStep(microBatchCount: 2)
      log.append(communicator.posted.count)
      if communicator.rank > 0 {
        for parameter in [1, 0, 2] {
          reducer.add(microBatch: communicator.rank - 1, parameter: parameter, gradient: nil)
          log.append(communicator.posted.count)
        }
      }
      _ = try reducer.finish()
      XCTAssertEqual(
        communicator.posted, ["memory for gradients"] + (0..<3).map { "gradients, bucket \($0)" })
      return log
    }
    XCTAssertEqual(logs, [[4], [1, 1, 3, 4], [1, 1, 3, 4]])
  }

  /// What each of `ranks` sends in a step with one micro-batch a rank and 2048 elements.
  private static func statistics(ranks: Int, nodeSize: Int) throws -> [CommunicationStatistics] {
    try InProcessCommunicator.run(ranks, nodeSize: nodeSize, patience: 20) { communicator in
      let layout = BucketLayout(parameterSizes: [2032])
      let reducer = GradientReducer(layout: layout, communicator: communicator)
      try reducer.beginStep(microBatchCount: ranks)
      let values = [Float](repeating: 1, count: 2032)
      values.withUnsafeBufferPointer { reducer.add(microBatch: communicator.rank, parameter: 0, gradient: $0) }
      _ = try reducer.finish()
      return reducer.statistics
    }
  }

  func testStatisticsCountTheBytesSent() throws {
    for statistics in try Self.statistics(ranks: 2, nodeSize: 1) {
      XCTAssertEqual(statistics.bytesSent, 2 * 1024 * 4)  // like a ring: 2 (R − 1)/R of the 2048 elements
      XCTAssertGreaterThan(statistics.totalSeconds, 0)
      XCTAssertGreaterThanOrEqual(statistics.exposedSeconds, 0)
    }
  }

  func testRanksOfANodeSendEachOtherNothing() throws {
    for statistics in try Self.statistics(ranks: 4, nodeSize: 4) { XCTAssertEqual(statistics.bytesSent, 0) }
    // Slices of 512: partial sums to the two ranks of the other node, the own sums once to that node.
    for statistics in try Self.statistics(ranks: 4, nodeSize: 2) { XCTAssertEqual(statistics.bytesSent, 3 * 512 * 4) }
    // The last of three is alone: what it adds up goes once to the others' node, slices of 688, 688 and 672.
    XCTAssertEqual(
      try Self.statistics(ranks: 3, nodeSize: 2).map(\.bytesSent), [4 * (672 + 688), 4 * (672 + 688), 4 * (1376 + 672)])
  }

  func testAFailingRankEndsTheOthersInAStep() {
    let began = ContinuousClock.now
    XCTAssertThrowsError(
      try InProcessCommunicator.run(4, patience: 20) { communicator in
        let reducer = GradientReducer(layout: BucketLayout(parameterSizes: [100]), communicator: communicator)
        for step in 0..<3 {
          try reducer.beginStep(microBatchCount: 4)
          if step == 1, communicator.rank == 2 { throw Fault(.badData, "broken", "repair it") }
          reducer.add(microBatch: communicator.rank, parameter: 0, gradient: nil)
          _ = try reducer.finish()
        }
      }
    ) { XCTAssertEqual($0 as? Fault, Fault(.badData, "broken", "repair it")) }
    XCTAssertLessThan(ContinuousClock.now - began, .seconds(15))
  }

  func testRecordsAreSummedInIndexOrder() throws {
    @Sendable func record(_ index: Int) -> [Double] { [1 / Double(index + 1), 1e17 * Double(index % 3 - 1)] }
    for count in [1, 3, 16, 17] {
      var wanted = [0.0, 0.0]
      for index in 0..<count { wanted = zip(wanted, record(index)).map { $0 + $1 } }
      for ranks in [1, 2, 3, 8] {
        let sums = try InProcessCommunicator.run(ranks, patience: 20) { communicator in
          let run = microBatches(rank: communicator.rank, of: ranks, count: count)
          return try communicator.sumInOrder(run.flatMap(record), width: 2, count: count)
        }
        for sum in sums { XCTAssertEqual(sum.map(\.bitPattern), wanted.map(\.bitPattern)) }
      }
    }
  }
}

/// Remembers the names of the jobs that are posted.
private final class Recorder: Communicator {
  private let inner: InProcessCommunicator
  private let names = Mutex<[String]>([])

  init(_ inner: InProcessCommunicator) { self.inner = inner }

  var posted: [String] { names.withLock { $0 } }
  var rank: Int { inner.rank }
  var count: Int { inner.count }
  var places: [RankPlace] { inner.places }
  var activity: String {
    get { inner.activity }
    set { inner.activity = newValue }
  }

  func post<Value: Sendable>(_ name: String, _ work: @escaping @Sendable (any Collectives) throws -> Value)
    -> Posted<Value>
  {
    names.withLock { $0.append(name) }
    return inner.post(name, work)
  }

  func agreeOnSuccess<Value>(_ body: () throws -> Value) throws -> Value { try inner.agreeOnSuccess(body) }
  func abort(_ fault: Fault) -> Never { inner.abort(fault) }
  func leave() throws { try inner.leave() }
}
