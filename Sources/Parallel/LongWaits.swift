/// What rank 0 knows about ranks that have been waiting for a long time, and what it says about it.
struct LongWaits {
  /// A wait is told of when it is this long, and then as often, in seconds.
  let patience: Double
  private let count: Int
  private var notices: [Int: (text: String, time: Double)] = [:]
  private var lastLine = -Double.infinity

  init(count: Int, patience: Double) {
    self.count = count
    self.patience = patience
  }

  /// Rank `rank` said at `time` (seconds of a steady clock) that it waits in `text`.
  mutating func note(rank: Int, text: String, at time: Double) { notices[rank] = (text, time) }

  /// The line to print at `time`, at most one in `patience` seconds; nil when nobody is known to wait.
  mutating func line(at time: Double) -> String? {
    notices = notices.filter { time - $0.value.time < patience * 1.5 }
    guard !notices.isEmpty, time - lastLine >= patience else { return nil }
    lastLine = time
    let waiting = notices.keys.sorted()
    let late = (0..<count).filter { notices[$0] == nil }
    let place = waiting.first.flatMap { notices[$0]?.text } ?? ""
    guard !late.isEmpty else { return "mmdist: all ranks have been waiting in '\(place)' for over \(Int(patience)) s" }
    return "mmdist: waiting for \(list(late)): \(list(waiting)) in '\(place)' for over \(Int(patience)) s"
  }

  private func list(_ ranks: [Int]) -> String {
    let shown = ranks.prefix(8).map(String.init).joined(separator: ", ")
    let more = ranks.count > 8 ? " and \(ranks.count - 8) more" : ""
    return (ranks.count == 1 ? "rank " : "ranks ") + shown + more
  }
}
