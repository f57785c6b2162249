import Synchronization

/// Features in memory, up to a limit.
///
/// Nothing is ever removed to make room: in training every picture comes once an epoch, so that what came first is worth
/// as much as what came last, while replacing the oldest would lose each picture just before it comes again.
final class FeatureMemory: Sendable {
  private struct State {
    var kept: [String: [Float]] = [:]
    var free: Int
  }
  private let state: Mutex<State>

  /// - Parameter limit: in bytes.
  init(limit: Int) { state = Mutex(State(free: limit)) }

  func find(_ picture: String) -> [Float]? { state.withLock { $0.kept[picture] } }

  /// Keeps the features if there is room.
  func keep(_ features: [Float], of picture: String) {
    let size = features.count * MemoryLayout<Float>.size
    state.withLock { state in
      guard size <= state.free, state.kept[picture] == nil else { return }
      state.kept[picture] = features
      state.free -= size
    }
  }
}
