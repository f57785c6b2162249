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
    /// What the system gave, and what is left of the newest of it.
    var regions: [UInt] = []
    var rest: (address: UInt, byteCount: Int) = (0, 0)
  }
  private let state = Mutex(State())

  public init() {}

  deinit {
    state.withLock { state in
      for region in state.regions { Foundation.free(UnsafeMutableRawPointer(bitPattern: region)) }
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

  /// A block that was never used, cut from a region in huge pages where it is small.
  private func fresh(_ size: Int) -> UnsafeMutableRawPointer {
    let address = state.withLock { state -> UInt in
      if size > MemoryPool.regionSize / 4 { return MemoryPool.region(size, &state) }
      if state.rest.byteCount < size {
        state.rest = (MemoryPool.region(MemoryPool.regionSize, &state), MemoryPool.regionSize)
      }
      defer { state.rest = (state.rest.address + UInt(size), state.rest.byteCount - size) }
      return state.rest.address
    }
    guard let block = UnsafeMutableRawPointer(bitPattern: address) else { fatalError("a block at address 0") }
    return block
  }

  private static let regionSize = 8 << 20

  private static func region(_ size: Int, _ state: inout State) -> UInt {
    var block: UnsafeMutableRawPointer?
    guard posix_memalign(&block, 2 << 20, size) == 0, let block else {
      fatalError("out of memory: \(size) more bytes cannot be had")
    }
    madvise(block, size, 14 /* MADV_HUGEPAGE */)
    state.held += size
    state.peak = max(state.peak, state.held)
    state.regions.append(UInt(bitPattern: block))
    return UInt(bitPattern: block)
  }

  static func sizeClass(_ byteCount: Int) -> Int {
    let wanted = max(byteCount, 64)
    let power = 1 << (Int.bitWidth - 1 - wanted.leadingZeroBitCount)
    let step = max(power / 8, 64)
    return (wanted + step - 1) / step * step
  }
}
