import Foundation
import Ground

/// How this process was started, as far as the environment tells.
enum Launch: Equatable {
  /// One rank, by hand or by a launcher.
  case alone
  /// A launcher that MPI can talk to started several ranks.
  case underMPI
  /// A launcher that MPI cannot talk to started that many copies; each would take itself for the only one.
  case strangers(Int)

  init(environment: [String: String]) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    if let world = number("OMPI_COMM_WORLD_SIZE") {
      self = world > 1 ? .underMPI : .alone
      return
    }
    let tasks = number("SLURM_STEP_NUM_TASKS") ?? number("SLURM_NTASKS") ?? number("PMI_SIZE") ?? 1
    if environment["PMIX_RANK"] != nil {
      self = environment["SLURM_STEP_NUM_TASKS"] == "1" ? .alone : .underMPI
    } else {
      self = tasks > 1 ? .strangers(tasks) : .alone
    }
  }
}

/// Joins the ranks that this process was started with; alone it works without MPI.
/// - Parameter version: of the program, which must be the same on all ranks.
/// - Throws: `Fault(.badConfiguration)` when several copies were started that do not know of each other, or when a rank
///   runs another version; `.inputOutput` when MPI does not start.
public func joinWorld(version: String, environment: [String: String] = ProcessInfo.processInfo.environment) throws
  -> any Communicator
{
  switch Launch(environment: environment) {
  case .alone: return SingleProcess()
  case .strangers(let tasks): throw strangersFault(tasks)
  case .underMPI:
    let communicator = try MPICommunicator()
    let started = ["OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"].lazy.compactMap {
      environment[$0].flatMap { Int($0) }
    }
    if communicator.count == 1, let tasks = started.first, tasks > 1 { throw strangersFault(tasks) }
    try communicator.agree(on: Array(version.utf8), what: "program version")
    return communicator
  }
}

private func strangersFault(_ tasks: Int) -> Fault {
  Fault(
    .badConfiguration, "\(tasks) copies were started, but each of them is rank 0 of 1",
    "start it by Open MPI's 'mpirun', in a Slurm job also by 'srun --mpi=pmix'")
}
