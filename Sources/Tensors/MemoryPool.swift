import Synchronization

/// Keeps memory for what comes next: fresh pages cost more than the arithmetic done in them.
///
/// Batches are ragged, so tensors of one step rarely have the sizes of the step before. What is freed joins its free
/// neighbours and is cut anew: the pool holds little more than the most that was ever in use at a time.
public final class MemoryPool: Sendable {
  private let heap = Mutex(BlockHeap())

  public init() {}

  deinit { heap.withLock { $0.giveBack() } }

  /// Uninitialised memory for `byteCount` bytes, 64-byte aligned.
  public func storage(_ byteCount: Int) -> Storage {
    let block = heap.withLock { $0.take(byteCount) }
    return Storage(address: block.memory, byteCount: byteCount) { [self] in heap.withLock { $0.free(block) } }
  }

  /// The most memory that was in use at a time, in bytes.
  public var peak: Int { heap.withLock { $0.peak } }
  /// What the system was asked for, in bytes; pages that nobody touched take no memory.
  var held: Int { heap.withLock { $0.held } }
}
