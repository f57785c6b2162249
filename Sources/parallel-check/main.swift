// Exercises the communication of `Parallel` under mpirun; the tests start it and look at what it prints.
// Usage: parallel-check digest | bench | abort | throw | kill | late FILE | differ | mismatch | busy | large
import Foundation
import Ground
import Parallel

let mode = CommandLine.arguments.dropFirst().first ?? "digest"
do {
  let communicator =
    mode == "late" ? try MPICommunicator(patience: 1) : try joinWorld(version: "check 1")
  do {
    try communicator.agreeOnSuccess { try run(mode, communicator) }
    try communicator.leave()
  } catch let fault as Fault {
    communicator.report(fault)
    try communicator.leave()
    exit(fault.kind.rawValue)
  }
} catch let fault as Fault {
  fault.endProcess()
}

func run(_ mode: String, _ communicator: any Communicator) throws {
  switch mode {
  case "digest": try digest(communicator)
  case "bench": try bench(communicator)
  case "large": try large(communicator)
  case "differ": try communicator.agree(on: [communicator.rank == 2 ? 1 : 0], what: "run file")
  default: try fail(mode, communicator)
  }
}
