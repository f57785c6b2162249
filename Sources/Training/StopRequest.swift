import Dispatch
import Foundation
import Synchronization

/// Notices that the run should stop after the present step: SIGUSR1, or a file named `STOP` in the output folder.
public final class StopRequest {
  private let source: any DispatchSourceSignal
  private let flag = Flag()
  private let file: String

  /// - Parameter output: the run's output folder.
  public init(output: String) {
    file = output + "/STOP"
    signal(SIGUSR1, SIG_IGN)  // the source below still hears it
    let flag = flag
    source = DispatchSource.makeSignalSource(signal: SIGUSR1, queue: DispatchQueue(label: "mmdist.stop"))
    source.setEventHandler { flag.raise() }
    source.resume()
  }

  deinit { source.cancel() }

  public var isMade: Bool { flag.isRaised || FileManager.default.fileExists(atPath: file) }

  /// Forgets a `STOP` file that has been obeyed, so that the next start goes on.
  public func clear() { try? FileManager.default.removeItem(atPath: file) }
}

private final class Flag: Sendable {
  private let state = Atomic(false)
  var isRaised: Bool { state.load(ordering: .relaxed) }
  func raise() { state.store(true, ordering: .relaxed) }
}
