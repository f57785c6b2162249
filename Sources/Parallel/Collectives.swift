/// Bytes for one rank, or room for bytes from it; messages between two ranks are matched in order.
public struct Message {
  public let peer: Int
  public let bytes: UnsafeMutableRawBufferPointer

  public init(peer: Int, bytes: UnsafeMutableRawBufferPointer) {
    self.peer = peer
    self.bytes = bytes
  }
}

/// The collective operations, as a job on the communication thread calls them (``Communicator/post(_:_:)``).
///
/// All ranks must call the same operations in the same order, with sizes that fit each other. Every operation blocks
/// until this rank's part of it is done. Sizes may exceed 2³¹.
public protocol Collectives {
  var rank: Int { get }
  /// The number of ranks.
  var count: Int { get }

  /// Returns when all ranks have called it.
  func barrier() throws
  /// Copies `bytes` of rank `root` into `bytes` of all others.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws
  /// Fills `bytes` on all ranks: rank r brings the part `ranges[r]`; the ranges follow each other without gaps.
  func allGather(_ bytes: UnsafeMutableRawBufferPointer, ranges: [Range<Int>]) throws
  /// Sends and receives all messages at once. Every rank takes part, with or without messages; none goes to itself.
  func exchange(sends: [Message], receives: [Message]) throws
  /// Replaces `values` by their sums over all ranks, in an order of addition that depends on the number of ranks.
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) throws
  /// Replaces `values` by their sums over all ranks, in an order of addition that depends on the number of ranks.
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) throws
  /// Replaces `values` by their sums over all ranks.
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Int64>) throws
}

extension Collectives {
  /// The bytes that each rank brought, in rank order; every rank may bring another number of them.
  public func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    var sizes = [Int64](repeating: 0, count: count)
    sizes[rank] = Int64(bytes.count)
    let width = MemoryLayout<Int64>.size
    try sizes.withUnsafeMutableBytes { buffer in
      try allGather(buffer, ranges: (0..<count).map { $0 * width..<($0 + 1) * width })
    }
    var ranges: [Range<Int>] = []
    var end = 0
    for size in sizes {
      ranges.append(end..<end + Int(size))
      end += Int(size)
    }
    var all = [UInt8](repeating: 0, count: end)
    all.replaceSubrange(ranges[rank], with: bytes)
    try all.withUnsafeMutableBytes { try allGather($0, ranges: ranges) }
    return ranges.map { Array(all[$0]) }
  }
}

/// The collectives of a world with one rank: there is nothing to do.
struct Alone: Collectives {
  var rank: Int { 0 }
  var count: Int { 1 }
  func barrier() {}
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) {}
  func allGather(_ bytes: UnsafeMutableRawBufferPointer, ranges: [Range<Int>]) {}
  func exchange(sends: [Message], receives: [Message]) {
    precondition(sends.isEmpty && receives.isEmpty, "a rank sends nothing to itself")
  }
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) {}
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) {}
  func allReduceSum(_ values: UnsafeMutableBufferPointer<Int64>) {}
}
