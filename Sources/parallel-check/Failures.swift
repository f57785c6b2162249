import Foundation
import Ground
import Parallel

/// Goes wrong on rank 1 in the way that `mode` says, while the other ranks wait for it in a gradient bucket.
func fail(_ mode: String, _ communicator: any Communicator) throws {
  let sizes = [3000, 3000]
  let reducer = GradientReducer(
    layout: BucketLayout(parameterSizes: sizes, bucketBytes: 12000), communicator: communicator)
  let values = [Float](repeating: 1, count: 3000)
  for step in 1...3 {
    communicator.activity = "step \(step)"
    try reducer.beginStep(microBatchCount: communicator.count)
    for parameter in sizes.indices {
      if step == 2, parameter == 1 {
        if communicator.rank == 1 { try goWrong(mode, communicator) }
        // A long computation: the rank that has failed must not wait for its end.
        if mode == "busy" { Thread.sleep(forTimeInterval: 600) }
      }
      values.withUnsafeBufferPointer {
        reducer.add(microBatch: communicator.rank, parameter: parameter, gradient: $0)
      }
    }
    _ = try reducer.finish()
  }
  if communicator.rank == 0 { print("done") }
}

private func goWrong(_ mode: String, _ communicator: any Communicator) throws {
  switch mode {
  case "abort": communicator.abort(Fault(.badData, "the picture is cut off", at: "cat.jpg", "replace it"))
  case "throw", "busy": throw Fault(.badData, "the picture is cut off", at: "cat.jpg", "replace it")
  case "kill": kill(getpid(), SIGKILL)
  case "late": waitForFile(CommandLine.arguments[2])
  case "mismatch": try communicator.barrier()
  default: throw Fault(.usage, "unknown mode '\(mode)'", "see the source")
  }
}

/// Waits until there is such a file, for a minute at most.
private func waitForFile(_ path: String) {
  let end = ContinuousClock.now + .seconds(60)
  while !FileManager.default.fileExists(atPath: path), ContinuousClock.now < end { usleep(10_000) }
}
