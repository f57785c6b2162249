import Ground
import XCTest

@testable import Parallel

final class CommunicatorTests: XCTestCase {
  private let broken = Fault(.badData, "broken", at: "a.jsonl:3", "repair it")

  /// Naps are short only while somebody waits: the thread is told of waits that are not over at once.
  func testWaitsAreCounted() throws {
    let waiters = WaiterCount()
    let posted = Posted<Int>(waiters: waiters)
    XCTAssertFalse(waiters.isAnyoneWaiting)
    let found = Posted<Int>()
    Thread { found.complete(Result { try posted.wait() }) }.start()
    let end = ContinuousClock.now + .seconds(30)
    while !waiters.isAnyoneWaiting, ContinuousClock.now < end { usleep(100) }
    XCTAssertTrue(waiters.isAnyoneWaiting)
    posted.complete(.success(7))
    XCTAssertEqual(try found.wait(), 7)
    XCTAssertFalse(waiters.isAnyoneWaiting)
    XCTAssertEqual(try posted.wait(), 7)
  }

  func testCollectives() throws {
    for count in [1, 2, 3, 5] {
      let results = try InProcessCommunicator.run(count, patience: 20) { communicator -> [String] in
        let rank = communicator.rank
        let text = try communicator.broadcast(Array("rank \(rank)".utf8), root: count - 1)
        let gathered = try communicator.allGather(Array(repeating: UInt8(rank), count: rank))
        let exchanged = try communicator.exchange((0..<count).map { Array(repeating: Float(rank), count: $0) })
        let sums = (
          try communicator.allReduceSum([rank]), try communicator.allReduceSum([Double(rank)]),
          try communicator.allReduceSum([Float(rank), 1])
        )
        try communicator.barrier()
        try communicator.leave()
        return [String(decoding: text, as: UTF8.self), "\(gathered)", "\(exchanged)", "\(sums)"]
      }
      let total = count * (count - 1) / 2
      for (rank, result) in results.enumerated() {
        XCTAssertEqual(result[0], "rank \(count - 1)")
        XCTAssertEqual(result[1], "\((0..<count).map { Array(repeating: UInt8($0), count: $0) })")
        XCTAssertEqual(result[2], "\((0..<count).map { Array(repeating: Float($0), count: rank) })")
        XCTAssertEqual(result[3], "\(([total], [Double(total)], [Float(total), Float(count)]))")
      }
    }
  }

  func testGathersOnTheFirstRank() throws {
    for count in [1, 2, 3, 5] {
      let results = try InProcessCommunicator.run(count, patience: 20) { communicator -> [[UInt8]] in
        defer { try? communicator.leave() }
        return try communicator.gather(
          Array(repeating: UInt8(communicator.rank), count: 70_000 * (communicator.rank % 3)))
      }
      XCTAssertEqual(results[0], (0..<count).map { Array(repeating: UInt8($0), count: 70_000 * ($0 % 3)) })
      for result in results.dropFirst() { XCTAssertEqual(result, []) }
    }
    XCTAssertEqual(try SingleProcess().gather([1, 2]), [[1, 2]])
  }

  func testSingleProcess() throws {
    let communicator = SingleProcess()
    XCTAssertEqual(try communicator.broadcast([1, 2]), [1, 2])
    XCTAssertEqual(try communicator.allGather([UInt8](arrayLiteral: 7)), [[7]])
    XCTAssertEqual(try communicator.exchange([[1.5]]), [[1.5]])
    XCTAssertEqual(try communicator.allReduceSum([3]), [3])
    XCTAssertEqual(communicator.hostRanks, [0])
    XCTAssertEqual(communicator.localRank, 0)
    XCTAssertThrowsError(try communicator.agreeOnSuccess { throw broken }) { XCTAssertEqual($0 as? Fault, broken) }
    try communicator.agree(on: [1], what: "run file")
  }

  func testJobsRunInOrderWithoutWaiting() throws {
    let results = try InProcessCommunicator.run(3, patience: 20) { communicator -> [Int] in
      let posted = (0..<20).map { i in
        communicator.post("job \(i)") { collectives -> Int in
          var value = Int64(i)
          try withUnsafeMutablePointer(to: &value) {
            try collectives.allReduceSum(UnsafeMutableBufferPointer(start: $0, count: 1))
          }
          return Int(value)
        }
      }
      return try posted.map { try $0.wait() }
    }
    XCTAssertEqual(results, Array(repeating: (0..<20).map { $0 * 3 }, count: 3))
  }

  // MARK: Agreement

  /// What `body` threw on each of `count` ranks.
  private func faults(_ count: Int, _ body: @escaping @Sendable (InProcessCommunicator) throws -> Void) throws
    -> [Fault?]
  {
    try InProcessCommunicator.run(count, patience: 20, grace: 10) { communicator in
      do {
        try body(communicator)
        return nil
      } catch {
        return error as? Fault
      }
    }
  }

  func testAllThrowTheLowestRanksFault() throws {
    let found = try faults(4) { communicator in
      communicator.activity = "step 7"
      try communicator.agreeOnSuccess {
        if communicator.rank >= 2 { throw Fault(.badData, "broken \(communicator.rank)", at: "a.jsonl:3", "repair it") }
      }
    }
    let wanted = Fault(.badData, "rank 2 on \(hostName()), step 7: broken 2", at: "a.jsonl:3", "repair it")
    XCTAssertEqual(found, Array(repeating: wanted, count: 4))
  }

  func testTheSameFaultOnAllRanksIsToldAsItIs() throws {
    let broken = broken
    XCTAssertEqual(try faults(3) { try $0.agreeOnSuccess { throw broken } }, [broken, broken, broken])
  }

  func testAnErrorThatIsNoFaultIsInternal() throws {
    struct Odd: Error {}
    for fault in try faults(2, { try $0.agreeOnSuccess { throw Odd() } }) {
      XCTAssertEqual(fault?.kind, .internalError)
    }
  }

  func testSuccessGivesTheValue() throws {
    XCTAssertEqual(try InProcessCommunicator.run(3) { c in try c.agreeOnSuccess { c.rank * 2 } }, [0, 2, 4])
  }

  func testRanksInCollectivesAreThrownOut() throws {
    let broken = broken
    let found = try faults(4) { communicator in
      try communicator.agreeOnSuccess {
        for step in 0..<5 {
          if step == 3, communicator.rank == 1 { throw broken }
          try communicator.barrier()
          _ = try communicator.allGather([UInt8(step)])
        }
      }
    }
    XCTAssertEqual(Set(found.map { $0?.what }), ["rank 1 on \(hostName()): broken"])
  }

  func testACommunicatorWorksAfterAFailedAgreement() throws {
    let broken = broken
    let sums = try InProcessCommunicator.run(3, patience: 20) { communicator in
      for _ in 0..<3 {
        XCTAssertThrowsError(
          try communicator.agreeOnSuccess {
            if communicator.rank == 2 { throw broken }
            try communicator.barrier()
          })
      }
      return try communicator.allReduceSum([1])
    }
    XCTAssertEqual(sums, [[3], [3], [3]])
  }

  func testNestedAgreements() throws {
    let broken = broken
    for failsInside in [true, false] {
      let found = try faults(3) { communicator in
        try communicator.agreeOnSuccess {
          try communicator.barrier()
          if communicator.rank == 1, !failsInside { throw broken }
          try communicator.agreeOnSuccess {
            if communicator.rank == 1 { throw broken }
            try communicator.barrier()
          }
          try communicator.barrier()
        }
      }
      XCTAssertEqual(Set(found.map { $0?.what }), ["rank 1 on \(hostName()): broken"])
    }
  }

  func testDifferentBytesAreNoticedOnAllRanks() throws {
    for fault in try faults(3, { try $0.agree(on: [$0.rank == 2 ? 1 : 0], what: "run file") }) {
      XCTAssertEqual(fault?.kind, .badConfiguration)
      XCTAssertEqual(
        fault?.what, "rank 2 on \(hostName()) has another run file than rank 0 on \(hostName())")
    }
    XCTAssertEqual(try faults(3) { try $0.agree(on: [1, 2], what: "run file") }, [nil, nil, nil])
  }

  func testDifferentCollectivesAreNoticed() throws {
    let found = try faults(3) { communicator in
      if communicator.rank == 1 { _ = try communicator.allReduceSum([1]) } else { try communicator.barrier() }
    }
    for fault in found {
      XCTAssertEqual(fault?.kind, .internalError)
      XCTAssertTrue(
        fault?.what.contains("rank 0 in 'barrier, size 0', rank 1 in 'sum: sum of integers, size 1'") == true)
    }
  }

  // MARK: Failure without agreement

  func testAFailingRankEndsTheOthers() {
    let began = ContinuousClock.now
    XCTAssertThrowsError(
      try InProcessCommunicator.run(3, patience: 20) { [broken] communicator in
        if communicator.rank == 1 { throw broken }
        try communicator.barrier()
      }
    ) { XCTAssertEqual($0 as? Fault, broken) }
    XCTAssertLessThan(ContinuousClock.now - began, .seconds(15))
  }

  func testAbortEndsTheOthers() {
    XCTAssertThrowsError(
      try InProcessCommunicator.run(3, patience: 20) { [broken] communicator in
        communicator.activity = "step 2"
        if communicator.rank == 1 { communicator.abort(broken) }
        try communicator.barrier()
      }
    ) { XCTAssertEqual(($0 as? Fault)?.what, "rank 1 on \(hostName()), step 2: broken") }
  }

  /// The busy one comes to no collective before the job has failed.
  func testAFailedRankDoesNotWaitForBusyOnes() {
    XCTAssertThrowsError(
      try InProcessCommunicator.run(2, patience: 300, grace: 0.3) { [broken] communicator in
        try communicator.agreeOnSuccess {
          if communicator.rank == 1 { throw broken }
          let end = ContinuousClock.now + .seconds(30)
          while communicator.group.failure == nil, ContinuousClock.now < end { usleep(1000) }
          XCTAssertEqual(communicator.group.failure?.what, "rank 1 on \(hostName()): broken")
          try communicator.barrier()
        }
      }
    ) { XCTAssertEqual(($0 as? Fault)?.what, "rank 1 on \(hostName()): broken") }
  }

  func testAWaitHasALimit() {
    XCTAssertThrowsError(
      try InProcessCommunicator.run(2, patience: 0.3) { communicator in
        if communicator.rank == 0 { try communicator.barrier() }
      })
  }

  // MARK: Launch and long waits

  func testLaunch() {
    func launch(_ environment: [String: String]) -> Launch { Launch(environment: environment) }
    XCTAssertEqual(launch([:]), .alone)
    XCTAssertEqual(launch(["OMPI_COMM_WORLD_SIZE": "1", "SLURM_NTASKS": "8"]), .alone)
    XCTAssertEqual(launch(["OMPI_COMM_WORLD_SIZE": "4", "SLURM_STEP_NUM_TASKS": "1"]), .underMPI)
    XCTAssertEqual(launch(["PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "4"]), .underMPI)
    XCTAssertEqual(launch(["PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "1"]), .alone)
    XCTAssertEqual(launch(["SLURM_NTASKS": "8"]), .strangers(8))
    XCTAssertEqual(launch(["SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1"]), .alone)
    XCTAssertEqual(launch(["SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "2"]), .strangers(2))
    XCTAssertEqual(launch(["SLURM_NTASKS": "many"]), .alone)
    XCTAssertEqual(launch(["PMI_RANK": "1", "PMI_SIZE": "4"]), .strangers(4))
  }

  func testStrangersAreRefused() {
    XCTAssertThrowsError(try joinWorld(version: "1", environment: ["SLURM_STEP_NUM_TASKS": "3"])) {
      XCTAssertEqual(($0 as? Fault)?.kind, .badConfiguration)
    }
    XCTAssertTrue(try joinWorld(version: "1", environment: [:]) is SingleProcess)
  }

  func testLongWaits() {
    var waits = LongWaits(count: 4, patience: 60)
    XCTAssertNil(waits.line(at: 100))
    waits.note(rank: 0, text: "bucket 2", at: 100)
    waits.note(rank: 2, text: "bucket 2", at: 101)
    XCTAssertEqual(
      waits.line(at: 101), "mmdist: waiting for ranks 1, 3: ranks 0, 2 in 'bucket 2' for over 60 s")
    XCTAssertNil(waits.line(at: 130))
    waits.note(rank: 0, text: "bucket 2", at: 160)
    waits.note(rank: 2, text: "bucket 2", at: 161)
    waits.note(rank: 3, text: "bucket 2", at: 161)
    XCTAssertEqual(
      waits.line(at: 162), "mmdist: waiting for rank 1: ranks 0, 2, 3 in 'bucket 2' for over 60 s")
    XCTAssertNil(waits.line(at: 400))
  }
}
