import Foundation

/// Makes items 0, 1, 2, … on threads of its own, ahead of the one who takes them, and hands them out in order.
///
/// An error takes the place of its item; nothing after it is begun. One thread at a time may call ``next()``.
final class Prefetcher<Item: Sendable>: Sendable {
  /// How far to run ahead: never more than `items`; not further once those that are ready take `bytes`.
  struct Limits {
    let items: Int
    let bytes: Int
  }

  private let shelf: Shelf<Item>

  /// - Parameter make: makes one item; it is told whether it may stop early, its item being unwanted.
  init(
    count: Int, threads: Int, limits: Limits, size: @escaping @Sendable (Item) -> Int,
    make: @escaping @Sendable (_ number: Int, _ isCancelled: () -> Bool) throws -> Item
  ) {
    let shelf = Shelf<Item>(count: count, limits: limits)
    self.shelf = shelf
    for _ in 0..<max(1, min(threads, limits.items)) {
      shelf.workerBegins()
      let thread = Thread {
        while let number = shelf.takeNumber() {
          let result = Result { try make(number) { shelf.isCancelled } }
          shelf.put(result, number: number, bytes: (try? result.get()).map(size) ?? 0)
        }
        shelf.workerEnds()
      }
      thread.stackSize = threadStackBytes
      thread.start()
    }
  }

  deinit { cancel() }

  /// The next item, waited for if need be, and the seconds that the wait took; nil after the last one and once cancelled.
  /// - Throws: what making it threw; then again on every later call.
  func next() throws -> (item: Item, waited: Double)? { try shelf.take() }

  /// The next item if it is there; a failure is left to ``next()``.
  func nextIfReady() -> Item? { shelf.takeIfReady() }

  /// Drops what is ready, begins nothing more, and returns when every thread has left.
  func cancel() { shelf.cancel() }
}

/// What the threads of a ``Prefetcher`` share, under one lock.
private final class Shelf<Item: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private let limits: Prefetcher<Item>.Limits
  /// Items from here on are not made: their number, or that of the first that failed and one more.
  private var end: Int
  private var nextToMake = 0
  private var nextToTake = 0
  private var ready: [Int: (result: Result<Item, any Error>, bytes: Int)] = [:]
  private var readyBytes = 0
  private var largest = 0
  private var workers = 0
  private var cancelled = false

  init(count: Int, limits: Prefetcher<Item>.Limits) {
    end = count
    self.limits = limits
  }

  var isCancelled: Bool { condition.withLock { cancelled } }
  func workerBegins() { condition.withLock { workers += 1 } }
  func workerEnds() {
    condition.withLock {
      workers -= 1
      condition.broadcast()
    }
  }

  /// The number of the next item to make, once there is room for it; nil when nothing more is to be made.
  func takeNumber() -> Int? {
    condition.withLock {
      while !cancelled, nextToMake < end, !hasRoom { condition.wait() }
      guard !cancelled, nextToMake < end else { return nil }
      nextToMake += 1
      return nextToMake - 1
    }
  }

  /// The item that is taken next may always be made; for others, those in the making count as the largest so far.
  private var hasRoom: Bool {
    let ahead = nextToMake - nextToTake
    if ahead == 0 { return true }
    return ahead < limits.items && readyBytes + (ahead - ready.count) * largest < limits.bytes
  }

  func put(_ result: Result<Item, any Error>, number: Int, bytes: Int) {
    condition.withLock {
      guard !cancelled else { return }
      if case .failure = result { end = min(end, number + 1) }
      ready[number] = (result, bytes)
      readyBytes += bytes
      largest = max(largest, bytes)
      condition.broadcast()
    }
  }

  func take() throws -> (item: Item, waited: Double)? {
    condition.lock()
    defer { condition.unlock() }
    let start = ContinuousClock.now
    while !cancelled, nextToTake < end, ready[nextToTake] == nil { condition.wait() }
    guard !cancelled, nextToTake < end, let next = ready[nextToTake] else { return nil }
    let item = try next.result.get()  // a failure stays where it is
    handOut(next.bytes)
    return (item, (ContinuousClock.now - start) / .seconds(1))
  }

  func takeIfReady() -> Item? {
    condition.withLock {
      guard !cancelled, let next = ready[nextToTake], let item = try? next.result.get() else { return nil }
      handOut(next.bytes)
      return item
    }
  }

  private func handOut(_ bytes: Int) {
    ready[nextToTake] = nil
    readyBytes -= bytes
    nextToTake += 1
    condition.broadcast()
  }

  func cancel() {
    condition.withLock {
      cancelled = true
      ready = [:]
      condition.broadcast()
      while workers > 0 { condition.wait() }
    }
  }
}
