import Foundation
import Ground

/// Memory in regions of huge pages, cut into blocks; free ones stand in lists by their size, sixteen to a power of two.
///
/// A block comes from the list of its size if the one freed last is large enough, else from the first list whose blocks
/// all are, and what it does not need goes back: the segregated fit of Masmano et al. 2004 (TLSF), in constant time.
/// A block goes back to the heap that it came from; only one thread at a time may use a heap.
struct BlockHeap {
  /// What stands in the 64 bytes before a block's memory.
  fileprivate struct Header {
    /// With this header, a multiple of 64.
    var byteCount: Int
    var isFree = false
    /// Whether its region ends with it.
    var isLast: Bool
    /// The block that lies before it in its region.
    var before: Block?
    /// In the list of free blocks.
    var newer: Block?
    var older: Block?
  }

  /// A block of memory, known by where its header is; whoever has taken it may use it on any thread.
  struct Block: Equatable, @unchecked Sendable {
    fileprivate let start: UnsafeMutableRawPointer
    var memory: UnsafeMutableRawPointer { start + BlockHeap.line }

    fileprivate var header: UnsafeMutablePointer<BlockHeap.Header> {
      start.assumingMemoryBound(to: BlockHeap.Header.self)
    }
  }

  /// What a header takes, and what blocks are aligned to.
  private static let line = 64
  private static let smallest = 2 * line
  private static let hugePage = 2 << 20
  private static let smallestRegion = 64 << 20
  /// More than any machine has.
  private static let largest = 1 << 48

  /// The newest free block of each list.
  private var newest = [Block?](repeating: nil, count: BlockHeap.list(of: BlockHeap.largest))
  /// A bit for each list that is not empty.
  private var filled = [UInt64](repeating: 0, count: (BlockHeap.list(of: BlockHeap.largest) + 63) / 64)
  private var regions: [Block] = []
  private var used = 0
  /// What the system was asked for, in bytes.
  private(set) var held = 0
  /// The most that was in use at a time, with headers, in bytes.
  private(set) var peak = 0

  /// A block with room for `byteCount` bytes.
  mutating func take(_ byteCount: Int) -> Block {
    let size = max(Self.smallest, Self.line + (byteCount + Self.line - 1) / Self.line * Self.line)
    let block = fitting(size) ?? region(atLeast: size)
    leaveList(block)
    cut(block, at: size)
    used += block.header.pointee.byteCount
    peak = max(peak, used)
    return block
  }

  /// Takes a block back, and joins it with what is free beside it.
  mutating func free(_ block: Block) {
    used -= block.header.pointee.byteCount
    var whole = block
    if let after = after(block), after.header.pointee.isFree {
      leaveList(after)
      join(block, after)
    }
    if let before = block.header.pointee.before, before.header.pointee.isFree {
      leaveList(before)
      join(before, block)
      whole = before
    }
    enterList(whole)
  }

  /// Gives all regions back to the system; nobody may use a block after that.
  mutating func giveBack() {
    for region in regions { Foundation.free(region.start) }
    self = BlockHeap()
  }

  // MARK: Neighbours

  private func after(_ block: Block) -> Block? {
    block.header.pointee.isLast ? nil : Block(start: block.start + block.header.pointee.byteCount)
  }

  /// Makes of what lies behind `size` bytes a free block of its own, where it is worth one.
  private mutating func cut(_ block: Block, at size: Int) {
    let left = block.header.pointee.byteCount - size
    guard left >= Self.smallest else { return }
    let rest = Block(start: block.start + size)
    rest.start.initializeMemory(
      as: Header.self, to: Header(byteCount: left, isLast: block.header.pointee.isLast, before: block))
    after(rest)?.header.pointee.before = rest
    block.header.pointee.byteCount = size
    block.header.pointee.isLast = false
    enterList(rest)
  }

  private func join(_ block: Block, _ next: Block) {
    block.header.pointee.byteCount += next.header.pointee.byteCount
    block.header.pointee.isLast = next.header.pointee.isLast
    after(block)?.header.pointee.before = block
  }

  // MARK: Lists

  /// The list of free blocks of a size.
  private static func list(of byteCount: Int) -> Int {
    let power = Int.bitWidth - 1 - byteCount.leadingZeroBitCount
    return (power - 7) << 4 + byteCount >> (power - 4) & 15
  }

  private func fitting(_ size: Int) -> Block? {
    let own = Self.list(of: size)
    guard own < newest.count else { return nil }
    if let block = newest[own], block.header.pointee.byteCount >= size { return block }
    var (word, mask) = ((own + 1) / 64, ~UInt64(0) << UInt64((own + 1) % 64))
    while word < filled.count {
      let lists = filled[word] & mask
      if lists != 0 { return newest[word * 64 + lists.trailingZeroBitCount] }
      (word, mask) = (word + 1, ~0)
    }
    return nil
  }

  private mutating func enterList(_ block: Block) {
    let list = Self.list(of: block.header.pointee.byteCount)
    block.header.pointee.isFree = true
    block.header.pointee.newer = nil
    block.header.pointee.older = newest[list]
    newest[list]?.header.pointee.newer = block
    newest[list] = block
    filled[list / 64] |= 1 << UInt64(list % 64)
  }

  private mutating func leaveList(_ block: Block) {
    let (newer, older) = (block.header.pointee.newer, block.header.pointee.older)
    block.header.pointee.isFree = false
    older?.header.pointee.newer = newer
    if let newer {
      newer.header.pointee.older = older
    } else {
      let list = Self.list(of: block.header.pointee.byteCount)
      newest[list] = older
      if older == nil { filled[list / 64] &= ~(1 << UInt64(list % 64)) }
    }
  }

  // MARK: Regions

  /// A free block that is a new region: an eighth of what is held, so that few of them cut it into pieces that cannot be
  /// joined.
  private mutating func region(atLeast size: Int) -> Block {
    let wanted = (max(size, Self.smallestRegion, held / 8) + Self.hugePage - 1) / Self.hugePage * Self.hugePage
    guard let (start, byteCount) = pages(wanted).map({ ($0, wanted) }) ?? pages(size).map({ ($0, size) }) else {
      // An operation cannot throw, and no step could go on.
      Fault(
        .internalError, "out of memory: \(size >> 20) MiB more than \(held >> 20) MiB cannot be had", at: "this rank",
        "lower train.micro_batch, data.max_length or --max-new-tokens, set train.recompute, or start fewer ranks on a node"
      ).endProcess()
    }
    held += byteCount
    let block = Block(start: start)
    start.initializeMemory(as: Header.self, to: Header(byteCount: byteCount, isLast: true))
    regions.append(block)
    enterList(block)
    return block
  }

  private func pages(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    var start: UnsafeMutableRawPointer?
    guard posix_memalign(&start, Self.hugePage, byteCount) == 0, let start else { return nil }
    madvise(start, byteCount, 14 /* MADV_HUGEPAGE */)
    return start
  }
}
