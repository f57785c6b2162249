import ArgumentParser
import Foundation
import Ground
import Parallel
import Tensors

struct Doctor: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "Looks at MPI, products, cores, threads, GPU and disk, and says what to do about each.")

  func run() throws {
    try withWorld { communicator in
      let count = ThreadCount(communicator)
      let backend = try CPUBackend(threads: count.threads)
      say(communicator, "mmdist    \(Mmdist.version)")
      say(
        communicator,
        "MPI       \(communicator.count) rank\(communicator.count == 1 ? " (no launcher, or one rank)" : "s") on \(Set(communicator.places.map(\.node)).count) node(s)"
      )
      say(communicator, "products  \(backend.summary)")
      if let mixed = try warningOfMixedProducts(backend, communicator) { say(communicator, "          \(mixed)") }
      say(
        communicator,
        "cores     \(ThreadCount.boundCores) of \(ProcessInfo.processInfo.processorCount) for this rank; \(count.threads) thread(s)"
      )
      if let warning = count.warning { say(communicator, "          \(warning)") }
      let hasDriver = FileManager.default.fileExists(atPath: "/dev/nvidia0")
      say(
        communicator,
        "GPU       " + (hasDriver ? "there is one, but this version computes on the CPU" : "none; the CPU computes"))
      let free = (try? FileManager.default.attributesOfFileSystem(forPath: ".")[.systemFreeSize] as? Int) ?? 0
      say(
        communicator, "disk      \(free >> 30) GiB free here" + (free < 5 << 30 ? ": free some before a long run" : ""))
      return 0
    }
  }
}
