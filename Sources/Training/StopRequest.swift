import Foundation
import Parallel
import Synchronization

/// How often SIGUSR1 has come to this process: a handler may touch no more than that.
private let signals = Atomic<Int>(0)

/// Notices that the run should stop after the present step: SIGUSR1, or a file named `STOP` in the output folder.
///
/// Made first thing in the program, so that a signal during the start is not lost.
public final class StopRequest {
  /// How many signals had come before this was made: those asked others.
  private let before: Int
  /// The run's output folder, once it is known.
  public var output: String?

  public init() {
    before = signals.load(ordering: .relaxed)
    // Calls that it interrupts go on (SA_RESTART).
    signal(SIGUSR1) { _ in signals.add(1, ordering: .relaxed) }
  }

  private var file: String? { output.map { $0 + "/STOP" } }

  /// Whether any rank was asked; all ranks call it. A signal counts on each of them; the file is looked for by rank 0
  /// alone, as many ranks would keep a file system busy with it at every step.
  public func isMade(onAny communicator: any Communicator) throws -> Bool {
    let isSignalled = signals.load(ordering: .relaxed) > before
    let isAsked = isSignalled || communicator.rank == 0 && file.map(FileManager.default.fileExists(atPath:)) ?? false
    return try communicator.allReduceSum([isAsked ? 1 : 0])[0] > 0
  }

  /// Forgets a `STOP` file that has been obeyed, so that the next start goes on.
  public func clear() {
    if let file { try? FileManager.default.removeItem(atPath: file) }
  }
}
