import Foundation
import Ground
import Parallel

/// Prints a digest of everything that must not depend on the number of ranks, after checking the collectives.
func digest(_ communicator: any Communicator) throws {
  try checkCollectives(communicator)
  var hash: UInt64 = 14_695_981_039_346_656_037
  func add(_ bits: UInt64) { hash = (hash ^ bits) &* 1_099_511_628_211 }
  let sizes = [5000, 3, 0, 17, 40000, 1, 129, 2500]
  let reducer = GradientReducer(
    layout: BucketLayout(parameterSizes: sizes, bucketBytes: 1 << 14), communicator: communicator)
  for (step, count) in [1, 2, 3, 5, 8, 16, 17, 3].enumerated() {
    communicator.activity = "step \(step)"
    try reducer.beginStep(microBatchCount: count)
    for index in microBatches(rank: communicator.rank, of: communicator.count, count: count) {
      for (parameter, size) in sizes.enumerated() where (step + index + parameter) % 5 != 0 {
        let values = (0..<size).map { wildFloat(UInt64(((step * 100 + index) * 100 + parameter) * 100_000 + $0)) }
        values.withUnsafeBufferPointer { reducer.add(microBatch: index, parameter: parameter, gradient: $0) }
      }
    }
    let result = try reducer.finish()
    if communicator.hostRanks.count == communicator.count, reducer.statistics.bytesSent > 0 {
      throw Fault(.internalError, "ranks of one node sent each other gradients", "report this")
    }
    for gradient in result.gradients { for value in gradient { add(UInt64(value.bitPattern)) } }
    for flag in result.present { add(flag ? 1 : 0) }
    let run = microBatches(rank: communicator.rank, of: communicator.count, count: count)
    let sums = try communicator.sumInOrder(
      run.flatMap { [0.1 * Double($0), 1e20 / Double($0 + 3)] }, width: 2, count: count)
    for sum in sums { add(sum.bitPattern) }
  }
  let all = try communicator.allGather(Array("\(hash)".utf8))
  guard all.allSatisfy({ $0 == all[0] }) else { throw Fault(.internalError, "ranks have other bits", "report this") }
  if communicator.rank == 0 { print("digest \(hash) ranks \(communicator.count)") }
}

private func checkCollectives(_ communicator: any Communicator) throws {
  let (rank, count) = (communicator.rank, communicator.count)
  func check(_ truth: Bool, _ what: String) throws {
    if !truth { throw Fault(.internalError, "\(what) gave the wrong result", "report this") }
  }
  try communicator.barrier()
  let text = try communicator.broadcast(rank == count - 1 ? Array("from the last".utf8) : [1], root: count - 1)
  try check(text == Array("from the last".utf8), "broadcast")
  let gathered = try communicator.allGather([UInt8](repeating: UInt8(rank), count: rank * 3))
  try check(gathered == (0..<count).map { [UInt8](repeating: UInt8($0), count: $0 * 3) }, "all-gather")
  let sends = (0..<count).map { [Float](repeating: Float(rank * 100 + $0), count: (rank + $0) % 3) }
  let received = try communicator.exchange(sends)
  try check(
    received == (0..<count).map { [Float](repeating: Float($0 * 100 + rank), count: (rank + $0) % 3) }, "exchange")
  // Messages of one piece, of several, and of more than 16 MiB, which are cut otherwise.
  func long(_ from: Int, _ to: Int) -> [Float] {
    let length = count == 1 ? 0 : [17, 200_003, 4_200_001][(to - from + count) % count % 3]
    return (0..<length).map { Float(from * 1000 + to * 100 + $0 % 97) }
  }
  let longer = try communicator.exchange((0..<count).map { $0 == rank ? [] : long(rank, $0) })
  try check(longer == (0..<count).map { $0 == rank ? [] : long($0, rank) }, "exchange of long messages")
  let triangle = count * (count + 1) / 2
  try check(try communicator.allReduceSum([rank + 1, 1]) == [triangle, count], "sum of integers")
  try check(try communicator.allReduceSum([Double(rank + 1)]) == [Double(triangle)], "sum of doubles")
  try check(try communicator.allReduceSum([Float(rank + 1)]) == [Float(triangle)], "sum of floats")
  try check(communicator.hostRanks == Array(0..<count) && communicator.localRank == rank, "the list of host ranks")
  try communicator.agree(on: [1, 2, 3], what: "run file")
}

/// A float whose magnitude is anywhere between 2⁻⁴⁰ and 2⁴⁰, a function of `seed`.
private func wildFloat(_ seed: UInt64) -> Float {
  var z = seed &* 0x9e37_79b9_7f4a_7c15
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  z ^= z >> 31
  let magnitude = Float(sign: z & 1 == 0 ? .plus : .minus, exponent: Int(z >> 8 % 81) % 81 - 40, significand: 1)
  return magnitude * (1 + Float(z >> 40) / Float(1 << 24))
}

/// Sends more than 2³¹ bytes in one operation; needs 5 GiB of memory a rank.
func large(_ communicator: any Communicator) throws {
  let count = (1 << 31) + 12345
  let sum = try communicator.post("large") { collectives in
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * count, alignment: 64)
    defer { buffer.deallocate() }
    let rank = collectives.rank
    buffer.initializeMemory(as: UInt8.self, repeating: UInt8(rank + 1))
    let halves = [0..<count, count..<2 * count]
    try collectives.exchange(
      sends: [Message(peer: 1 - rank, bytes: UnsafeMutableRawBufferPointer(rebasing: buffer[halves[rank]]))],
      receives: [Message(peer: 1 - rank, bytes: UnsafeMutableRawBufferPointer(rebasing: buffer[halves[1 - rank]]))])
    let exchanged = [Int(buffer[halves[rank].upperBound - 1]), Int(buffer[halves[1 - rank].upperBound - 1])]
    buffer.initializeMemory(as: UInt8.self, repeating: UInt8(rank + 1))
    try collectives.allGather(buffer, ranges: halves)
    return exchanged + [Int(buffer[count - 1]), Int(buffer[2 * count - 1])]
  }.wait()
  let expected = [communicator.rank + 1, 2 - communicator.rank, 1, 2]
  guard sum == expected else { throw Fault(.internalError, "large messages: \(sum)", "report this") }
  if communicator.rank == 0 { print("large messages are right") }
}
