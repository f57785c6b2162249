/// The pairs of tokens that a model joins, each with its rank, and the token that each rank makes.
struct MergeTable: Sendable {
  /// What ``rank(_:_:)`` says of a pair that is not joined.
  static let none = UInt32.max

  /// By rank: the id of the joined token.
  private(set) var results: [Int32] = []
  private var keys = [UInt64](repeating: .max, count: 16)
  private var ranks = [UInt32](repeating: MergeTable.none, count: 16)
  private let seed = Hashing.seed

  /// Adds a pair with the next rank; a pair that is there already gets the new rank.
  mutating func append(_ left: Int32, _ right: Int32, result: Int32) {
    if results.count * 2 >= keys.count { grow() }
    let key = MergeTable.key(left, right)
    let slot = self.slot(of: key)
    keys[slot] = key
    ranks[slot] = UInt32(results.count)
    results.append(result)
  }

  private mutating func grow() {
    let (oldKeys, oldRanks) = (keys, ranks)
    keys = [UInt64](repeating: .max, count: oldKeys.count * 2)
    ranks = [UInt32](repeating: MergeTable.none, count: oldKeys.count * 2)
    for (key, rank) in zip(oldKeys, oldRanks) where key != .max {
      let slot = self.slot(of: key)
      keys[slot] = key
      ranks[slot] = rank
    }
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
