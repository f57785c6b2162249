import Dispatch
import Foundation
import Synchronization

/// Notices that the run should stop after the present step: SIGUSR1, or a file named `STOP` in the output folder.
///
/// Made first thing in the program, so that a signal during the start is not lost.
public final class StopRequest {
  private let source: any DispatchSourceSignal
  private let flag = Flag()
  /// The run's output folder, once it is known.
  public var output: String?

  public init() {
    // A signal that comes too early must not end the process; the source below puts its own handler in this place,
    // and one that an earlier source has put there stays.
    if let handler = signal(SIGUSR1, SIG_IGN) { signal(SIGUSR1, handler) }
    let flag = flag
    source = DispatchSource.makeSignalSource(signal: SIGUSR1, queue: DispatchQueue(label: "mmdist.stop"))
    source.setEventHandler { flag.raise() }
    // Until it has put its handler there, a signal would be ignored and lost.
    let isThere = DispatchSemaphore(value: 0)
    source.setRegistrationHandler { isThere.signal() }
    source.resume()
    isThere.wait()
  }

  deinit { source.cancel() }

  private var file: String? { output.map { $0 + "/STOP" } }

  public var isMade: Bool { flag.isRaised || file.map(FileManager.default.fileExists(atPath:)) ?? false }

  /// Forgets a `STOP` file that has been obeyed, so that the next start goes on.
  public func clear() {
    if let file { try? FileManager.default.removeItem(atPath: file) }
  }
}

private final class Flag: Sendable {
  private let state = Atomic(false)
  var isRaised: Bool { state.load(ordering: .relaxed) }
  func raise() { state.store(true, ordering: .relaxed) }
}
