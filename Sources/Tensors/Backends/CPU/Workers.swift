import Foundation
import Kernels
import Synchronization

/// The one pool that work is spread over.
///
/// Callers cut work into pieces whose results do not depend on who computes them. Between two pieces of work helpers
/// watch for the next for some microseconds, which a step's many short operations need, and then sleep.
final class Workers: Sendable {
  let count: Int
  private let shared = Shared()

  init(count: Int) {
    self.count = count
    for number in 1..<max(count, 1) {
      let thread = Thread { [shared] in shared.help() }
      thread.name = "worker \(number)"
      thread.stackSize = 2 << 20
      thread.start()
    }
  }

  deinit { shared.end(helpers: count - 1) }

  /// Runs `body` once for every piece index, on up to `count` threads, and waits.
  ///
  /// Within a piece, and while another thread's work runs here, pieces are run one by one on the calling thread.
  func run(_ pieces: Int, _ body: (Int) -> Void) {
    guard count > 1, pieces > 1, shared.begin() else {
      for piece in 0..<pieces { body(piece) }
      return
    }
    withoutActuallyEscaping(body) { shared.run(Work(pieces: pieces, body: $0), helpers: min(count, pieces) - 1) }
  }

  /// Cuts `total` items into runs of `size` and hands over each run.
  func runs(of total: Int, size: Int, _ body: (Range<Int>) -> Void) {
    run((total + size - 1) / size) { piece in
      body(piece * size..<min(total, (piece + 1) * size))
    }
  }
}

/// Pieces that are taken by number.
///
/// The caller waits, so what `body` refers to outlives its use on other threads; pieces write apart.
private struct Work: @unchecked Sendable {
  let pieces: Int
  let body: (Int) -> Void
}

/// What the threads of a pool share: the present work, and a gate through which helpers come to it.
private final class Shared: @unchecked Sendable {
  /// Written by the caller while the gate is shut and nobody is inside.
  private var work: Work?
  private let next = Atomic<Int>(0)
  /// How many helpers are inside, twice that, plus 1 while the gate is open.
  private let gate = Atomic<Int>(0)
  private let isBusy = Atomic<Bool>(false)
  /// Goes up with every piece of work, so that helpers notice it.
  private let generation = Atomic<Int>(0)
  private let sleeping = Atomic<Int>(0)
  private let hasEnded = Atomic<Bool>(false)
  private let bell = DispatchSemaphore(value: 0)

  /// Whether the caller may use the pool now.
  func begin() -> Bool { !isBusy.exchange(true, ordering: .acquiring) }

  func run(_ work: Work, helpers: Int) {
    self.work = work
    next.store(0, ordering: .relaxed)
    gate.store(1, ordering: .releasing)
    generation.add(1, ordering: .sequentiallyConsistent)
    ring(min(helpers, sleeping.load(ordering: .sequentiallyConsistent)))
    takePieces(of: work)
    // Shut; those inside finish the pieces that they have taken.
    if gate.bitwiseXor(1, ordering: .acquiringAndReleasing).newValue != 0 {
      var looks = 0
      while gate.load(ordering: .acquiring) != 0 {
        looks += 1
        if looks < Shared.patience { mmd_pause() } else { sched_yield() }
      }
    }
    self.work = nil
    isBusy.store(false, ordering: .releasing)
  }

  private func takePieces(of work: Work) {
    while true {
      let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard piece < work.pieces else { return }
      work.body(piece)
    }
  }

  private func ring(_ times: Int) { for _ in 0..<max(times, 0) { bell.signal() } }

  func end(helpers: Int) {
    hasEnded.store(true, ordering: .sequentiallyConsistent)
    generation.add(1, ordering: .sequentiallyConsistent)
    ring(helpers)
  }

  // MARK: A helper's life

  func help() {
    var seen = 0
    while !hasEnded.load(ordering: .acquiring) {
      let now = generation.load(ordering: .acquiring)
      if now == seen {
        wait(after: seen)
      } else {
        seen = now
        if enter() {
          if let work { takePieces(of: work) }
          gate.subtract(2, ordering: .releasing)
        }
      }
    }
  }

  private func enter() -> Bool {
    var state = gate.load(ordering: .acquiring)
    while state & 1 == 1 {
      let (done, found) = gate.weakCompareExchange(
        expected: state, desired: state + 2, successOrdering: .acquiring, failureOrdering: .acquiring)
      if done { return true }
      state = found
    }
    return false
  }

  /// Watches for new work for some 50 µs, then sleeps until the bell rings.
  private func wait(after seen: Int) {
    for _ in 0..<Shared.patience {
      if generation.load(ordering: .acquiring) != seen { return }
      mmd_pause()
    }
    sleeping.add(1, ordering: .sequentiallyConsistent)
    // Work that came before this thread counted as asleep rings no bell for it.
    if generation.load(ordering: .sequentiallyConsistent) == seen { bell.wait() }
    sleeping.subtract(1, ordering: .sequentiallyConsistent)
  }

  private static let patience = 2000
}
