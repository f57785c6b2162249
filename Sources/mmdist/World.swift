import Foundation
import Ground
import Parallel
import Tensors

/// Runs `body` on every rank of the job and ends the process when it fails: one line, from one rank, and the same
/// exit code on all.
func withWorld(_ body: (any Communicator) throws -> Int32) throws -> Never {
  let communicator = try joinWorld(version: Mmdist.version)
  do {
    let code = try communicator.agreeOnSuccess { try body(communicator) }
    try communicator.leave()
    exit(code)
  } catch {
    let fault = error as? Fault ?? Fault(.internalError, "\(error)", "report this with the run file")
    communicator.report(fault)
    try? communicator.leave()
    exit(fault.kind.rawValue)
  }
}

/// How many threads a rank computes with, and what is to be said about it.
struct ThreadCount {
  let threads: Int
  let warning: String?

  /// `OMP_NUM_THREADS` decides; else the rank's share of the node's cores, or the cores that it is bound to.
  init(_ communicator: any Communicator, environment: [String: String] = ProcessInfo.processInfo.environment) {
    let cores = ProcessInfo.processInfo.processorCount
    let bound = ThreadCount.boundCores
    let ranks = communicator.hostRanks.count
    if let wanted = environment["OMP_NUM_THREADS"].flatMap({ Int($0) }), wanted > 0 {
      threads = wanted
    } else {
      threads = bound < cores ? bound : max(1, cores / ranks)
    }
    if threads > bound {
      let place = "warning: \(threads) threads on \(bound) core\(bound == 1 ? "" : "s"): "
      warning =
        bound == cores
        ? place + "OMP_NUM_THREADS asks for more than there are"
        : place + "the launcher bound this rank; use mpirun --bind-to none or --map-by slot:PE=\(threads)"
    } else if bound * ranks < cores, environment["OMP_NUM_THREADS"] == nil {
      warning =
        "warning: \(ranks) rank\(ranks == 1 ? "" : "s") bound to \(bound) core\(bound == 1 ? "" : "s") each, of \(cores): "
        + "use mpirun --bind-to none for all of them"
    } else {
      warning = nil
    }
  }

  /// The cores that this process may run on.
  static var boundCores: Int { CPUBackend.allowedCores }
}

/// Progress and notes on standard output, from rank 0.
func say(_ communicator: any Communicator, _ line: String) {
  if communicator.rank == 0 { printLine(line) }
}
