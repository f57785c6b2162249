/// The pairs of tokens that a model joins, each with its rank, and the token that each rank makes.
struct MergeTable: Sendable {
  /// What ``rank(_:_:)`` says of a pair that is not joined.
  static let none = UInt32.max

  /// By rank: the id of the joined token.
  private(set) var results: [Int32] = []
  private var keys: [UInt64]
  private var ranks: [UInt32]
  private let seed = Hashing.seed

  /// An empty table with room for `count` pairs.
  init(capacity count: Int) {
    var slotCount = 16
    while slotCount < count * 2 { slotCount *= 2 }
    keys = [UInt64](repeating: .max, count: slotCount)
    ranks = [UInt32](repeating: MergeTable.none, count: slotCount)
    results.reserveCapacity(count)
  }

  /// Adds a pair with the next rank; a pair that is there already gets the new rank.
  mutating func append(_ left: Int32, _ right: Int32, result: Int32) {
    let key = MergeTable.key(left, right)
    let slot = self.slot(of: key)
    keys[slot] = key
    ranks[slot] = UInt32(results.count)
    results.append(result)
  }

  /// The rank of the pair, the lower the sooner joined; ``none`` when it is not joined.
  @inline(__always)
  func rank(_ left: Int32, _ right: Int32) -> UInt32 { ranks[slot(of: MergeTable.key(left, right))] }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// The slot that holds the key, or the free one where it belongs.
  @inline(__always)
  private func slot(of key: UInt64) -> Int {
    keys.withUnsafeBufferPointer { keys in
      let mask = keys.count - 1
      var slot = Int(truncatingIfNeeded: Hashing.hash(key, seed: seed)) & mask
      while keys[slot] != key, keys[slot] != .max { slot = (slot + 1) & mask }
      return slot
    }
  }
}
