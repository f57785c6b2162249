import Foundation
import Synchronization

/// Keeps freed blocks for the next request of their size class: fresh pages cost more than the
/// arithmetic done in them.
///
/// Size classes are an eighth of a power of two apart, so at most an eighth of a block is unused and
/// steps with slightly different numbers of tokens still share blocks.
public final class MemoryPool: Sendable {
  private struct State {
    var free: [Int: [UInt]] = [:]
    var held = 0
    var peak = 0
  }
  private let state = Mutex(State())

  public init() {}

  deinit {
    state.withLock { state in
      for block in state.free.values.joined() { Foundation.free(UnsafeMutableRawPointer(bitPattern: block)) }
    }
  }

  /// Uninitialised memory for `byteCount` bytes, 64-byte aligned.
  public func storage(_ byteCount: Int) -> Storage {
    let size = MemoryPool.sizeClass(byteCount)
    let recycled = state.withLock { state in state.free[size]?.popLast() }
    let address = recycled.flatMap { UnsafeMutableRawPointer(bitPattern: $0) } ?? fresh(size)
    return Storage(address: address, byteCount: byteCount) { [self] in
      state.withLock { $0.free[size, default: []].append(UInt(bitPattern: address)) }
    }
  }

  /// The most memory that this pool ever held from the system, in bytes.
  public var peak: Int { state.withLock { $0.peak } }

  private func fresh(_ size: Int) -> UnsafeMutableRawPointer {
    let large = size >= 2 << 20
    var block: UnsafeMutableRawPointer?
    guard posix_memalign(&block, large ? 2 << 20 : 64, size) == 0, let block else {
      fatalError("out of memory: \(size) more bytes cannot be had")
    }
    if large { madvise(block, size, 14 /* MADV_HUGEPAGE */) }
    state.withLock { state in
      state.held += size
      state.peak = max(state.peak, state.held)
    }
    return block
  }

  static func sizeClass(_ byteCount: Int) -> Int {
    let wanted = max(byteCount, 64)
    let power = 1 << (Int.bitWidth - 1 - wanted.leadingZeroBitCount)
    let step = max(power / 8, 64)
    return (wanted + step - 1) / step * step
  }
}
