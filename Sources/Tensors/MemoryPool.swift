import Foundation
import Ground
import Synchronization

/// Keeps freed blocks for the next request of their size class: fresh pages cost more than the
/// arithmetic done in them.
///
/// Size classes are an eighth of a power of two apart, so at most an eighth of a block is unused and
/// steps with slightly different numbers of tokens still share blocks. Blocks are cut from slabs of huge pages, so
/// that the first step touches few hundred of these and not a hundred thousand small ones.
public final class MemoryPool: Sendable {
  fileprivate struct State {
    var free: [Int: [Block]] = [:]
    var held = 0
    var peak = 0
    var slabs: [Block] = []
    /// What of the newest slab has not been given out yet.
    var rest: (start: Block, byteCount: Int)?
  }
  /// Memory that nobody else uses, which any thread may take.
  fileprivate struct Block: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
  }
  private let state = Mutex(State())

  public init() {}

  deinit {
    state.withLock { state in
      for slab in state.slabs { Foundation.free(slab.address) }
    }
  }

  /// Uninitialised memory for `byteCount` bytes, 64-byte aligned.
  public func storage(_ byteCount: Int) -> Storage {
    let size = MemoryPool.sizeClass(byteCount)
    let block = state.withLock { state in state.free[size]?.popLast() ?? state.fresh(size) }
    return Storage(address: block.address, byteCount: byteCount) { [self] in
      state.withLock { $0.free[size, default: []].append(block) }
    }
  }

  /// The most memory that this pool ever held from the system, in bytes.
  public var peak: Int { state.withLock { $0.peak } }

  static func sizeClass(_ byteCount: Int) -> Int {
    let wanted = max(byteCount, 64)
    let power = 1 << (Int.bitWidth - 1 - wanted.leadingZeroBitCount)
    let step = max(power / 8, 64)
    return (wanted + step - 1) / step * step
  }
}

extension MemoryPool.State {
  /// The size of a slab, of which untouched pages take no memory; larger blocks get one of their own.
  private static let slabSize = 64 << 20

  fileprivate mutating func fresh(_ size: Int) -> MemoryPool.Block {
    held += size
    peak = max(peak, held)
    if size > Self.slabSize / 4 { return slab(size) }
    let left: (start: MemoryPool.Block, byteCount: Int)
    if let rest, rest.byteCount >= size {
      left = rest
    } else {
      left = (slab(Self.slabSize), Self.slabSize)
    }
    rest = (MemoryPool.Block(address: left.start.address + size), left.byteCount - size)
    return left.start
  }

  private mutating func slab(_ size: Int) -> MemoryPool.Block {
    let hugePage = 2 << 20
    var start: UnsafeMutableRawPointer?
    guard posix_memalign(&start, hugePage, size) == 0, let start else {
      // An operation cannot throw, and no step could go on.
      Fault(
        .internalError, "out of memory: \(size >> 20) MiB more than \(held >> 20) MiB cannot be had", at: "this rank",
        "lower train.micro_batch or data.max_length, set train.recompute, or start fewer ranks on a node"
      ).endProcess()
    }
    madvise(start, size, 14 /* MADV_HUGEPAGE */)
    let slab = MemoryPool.Block(address: start)
    slabs.append(slab)
    return slab
  }
}
