import Dispatch
import Synchronization

/// The one pool that work is spread over.
///
/// Callers cut work into pieces whose number and order do not depend on `count`, so results do not either.
struct Workers: Sendable {
  let count: Int

  /// Runs `body` once for every piece index, on up to `count` threads, and waits.
  func run(_ pieces: Int, _ body: (Int) -> Void) {
    let threads = min(count, pieces)
    guard threads > 1 else {
      for piece in 0..<pieces { body(piece) }
      return
    }
    let next = Atomic<Int>(0)
    withoutActuallyEscaping(body) { body in
      let work = Work(body: body)
      DispatchQueue.concurrentPerform(iterations: threads) { _ in
        while true {
          let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
          guard piece < pieces else { return }
          work.body(piece)
        }
      }
    }
  }

  /// The caller waits, so what `body` refers to outlives its use on other threads; pieces write apart.
  private struct Work: @unchecked Sendable {
    let body: (Int) -> Void
  }

  /// Cuts `total` items into runs of `size` and hands over each run.
  func runs(of total: Int, size: Int, _ body: (Range<Int>) -> Void) {
    run((total + size - 1) / size) { piece in
      body(piece * size..<min(total, (piece + 1) * size))
    }
  }
}
