import Foundation
import Parallel

/// Times the reduction of one 4 MiB bucket, in tree order and the plain way, and a meeting alone.
func bench(_ communicator: any Communicator) throws {
  let size = (4 << 20) / 4 - 64
  let values = [Float](repeating: 0.5, count: size)
  for (name, deterministic) in [("tree", true), ("plain", false)] {
    for perRank in [1, 4] {
      let reducer = GradientReducer(
        layout: BucketLayout(parameterSizes: [size]), communicator: communicator, deterministic: deterministic)
      let count = perRank * communicator.count
      var best = Double.infinity
      var exposed = 0.0
      for _ in 0..<30 {
        try reducer.beginStep(microBatchCount: count)
        try communicator.barrier()
        for index in microBatches(rank: communicator.rank, of: communicator.count, count: count) {
          values.withUnsafeBufferPointer { reducer.add(microBatch: index, parameter: 0, gradient: $0) }
        }
        _ = try reducer.finish()
        best = min(best, reducer.statistics.totalSeconds)
        exposed += reducer.statistics.totalSeconds / 30
      }
      if communicator.rank == 0 {
        print("\(name), \(perRank) micro-batches a rank: best \(milliseconds(best)), mean \(milliseconds(exposed))")
      }
    }
  }
  try overlap(communicator)
  let began = Date()
  for _ in 0..<200 { try communicator.barrier() }
  if communicator.rank == 0 { print("barrier: \(milliseconds(Date().timeIntervalSince(began) / 200))") }
}

private func milliseconds(_ seconds: Double) -> String { "\((seconds * 1e6).rounded() / 1e3) ms" }

/// Times a computation of its own, twenty buckets of their own, and both at once.
private func overlap(_ communicator: any Communicator) throws {
  let sizes = [Int](repeating: (4 << 20) / 4 - 64, count: 20)
  let values = [Float](repeating: 0.5, count: sizes[0])
  let reducer = GradientReducer(layout: BucketLayout(parameterSizes: sizes), communicator: communicator)
  func step(computing: Bool, communicating: Bool) throws -> Double {
    try reducer.beginStep(microBatchCount: communicator.count)
    try communicator.barrier()
    let began = Date()
    for parameter in sizes.indices {
      if computing { burn() }
      if communicating {
        values.withUnsafeBufferPointer {
          reducer.add(microBatch: communicator.rank, parameter: parameter, gradient: $0)
        }
      }
    }
    if communicating { _ = try reducer.finish() }
    let seconds = Date().timeIntervalSince(began)
    if !communicating { _ = try reducer.finish() }
    return seconds
  }
  for (name, computing, communicating) in [
    ("computation", true, false), ("communication", false, true), ("both", true, true),
  ] {
    var best = Double.infinity
    var total = 0.0
    var statistics = reducer.statistics
    for _ in 0..<10 {
      let seconds = try step(computing: computing, communicating: communicating)
      total += seconds / 10
      if seconds < best { (best, statistics) = (seconds, reducer.statistics) }
    }
    if communicator.rank == 0 {
      print(
        "\(name): best \(milliseconds(best)), mean \(milliseconds(total)), of the best \(milliseconds(statistics.totalSeconds)) in communication, \(milliseconds(statistics.exposedSeconds)) exposed"
      )
    }
  }
}

/// Some 10 ms of arithmetic.
private func burn() {
  var x = 1.0
  for i in 0..<2_000_000 { x = x * 0.999_999 + Double(i & 1) }
  if x == 0 { print("never") }
}
