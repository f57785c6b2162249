import Foundation
import XCTest

@testable import Parallel

final class SharedMemoryTests: XCTestCase {
  private func made(_ count: Int) throws -> SharedMemory { try XCTUnwrap(SharedMemory(count: count)) }

  func testWhatOneWritesTheOtherReads() throws {
    let memory = try made(3)
    let other = try XCTUnwrap(SharedMemory(at: memory.address, count: 3))
    XCTAssertNotEqual(memory.floats, other.floats)
    XCTAssertEqual((0..<3).map { other.floats[$0] }, [0, 0, 0])
    memory.floats[2] = 7
    other.floats[0] = -1
    XCTAssertEqual((0..<3).map { memory.floats[$0] }, [-1, 0, 7])
    XCTAssertEqual((0..<3).map { other.floats[$0] }, [-1, 0, 7])
  }

  func testOnlyTheMemoryThatWasMeantIsFound() throws {
    let memory = try made(3)
    XCTAssertNil(SharedMemory(at: memory.address, count: 4), "another size")
    var address = memory.address
    address[2] += 1
    XCTAssertNil(SharedMemory(at: address, count: 3), "another token")
    XCTAssertNil(SharedMemory(at: [memory.address[0], 4_000_000, memory.address[2]], count: 3), "no such file")
    XCTAssertNil(SharedMemory(at: [], count: 3), "what a rank says that has none")
    memory.seal()
    XCTAssertNil(SharedMemory(at: memory.address, count: 3), "sealed")
    memory.floats[0] = 1
    XCTAssertEqual(memory.floats[0], 1)
  }

  func testOneRankThatFailsKeepsAllFromSharing() throws {
    // Rank 2 takes rank 3 to have more slots than it has, and so cannot map them.
    for (wrong, wanted) in [(1, [[0, 1], [2, 3]]), (2, [[0], [1], [2], [3]])] {
      let found = try InProcessCommunicator.run(4, nodeSize: 2, patience: 20) { communicator in
        let (rank, places) = (communicator.rank, communicator.places)
        return try communicator.post("memory") { collectives in
          let sums = try PartialSums.shared(
            slotCounts: [1, 1, 1, rank == 2 ? wrong : 1], elements: 16, places: places, on: collectives)
          sums.reserve(1)
          sums.own[0].pointer[15] = Float(rank)
          try collectives.barrier()
          let reached = sums.slots.mapValues { $0[0].pointer[15] }
          try collectives.barrier()
          return (sums.groups, reached)
        }.wait()
      }
      for (rank, (groups, reached)) in found.enumerated() {
        XCTAssertEqual(groups, wanted)
        let near = wanted.first { $0.contains(rank) } ?? []
        XCTAssertEqual(reached, Dictionary(uniqueKeysWithValues: near.map { ($0, Float($0)) }))
      }
    }
  }
}
