/// A pseudo-random permutation of `0..<count` that gives the image of any number by itself, in constant memory.
///
/// A balanced Feistel network permutes the 4^h ≥ `count` numbers of 2h bits; a number that lands outside
/// `0..<count` is sent through again until it lands inside (cycle walking), fewer than four times on average for
/// large counts. After Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002.
struct KeyedPermutation: Sendable {
  private static let rounds: UInt64 = 12
  private let count: UInt64
  private let key: UInt64
  /// h ≥ 4: on fewer bits a network reaches few of the permutations.
  private let halfBits: UInt64

  init(count: Int, key: UInt64) {
    precondition(count > 0, "KeyedPermutation: count \(count)")
    self.count = UInt64(count)
    self.key = key
    let bits = UInt64(64 - (self.count - 1).leadingZeroBitCount)
    halfBits = max(4, (bits + 1) / 2)
  }

  func callAsFunction(_ number: Int) -> Int {
    precondition(number >= 0 && number < count, "KeyedPermutation: \(number) of \(count)")
    var value = UInt64(number)
    repeat { value = permute(value) } while value >= count
    return Int(value)
  }

  private func permute(_ value: UInt64) -> UInt64 {
    var left = value >> halfBits
    var right = value & ((1 << halfBits) - 1)
    for round in 0..<KeyedPermutation.rounds {
      let noise = scramble(right &+ scramble(key &+ round)) >> (64 - halfBits)
      (left, right) = (right, left ^ noise)
    }
    return left << halfBits | right
  }
}

/// A bijection of 64-bit words in which every input bit moves every output bit: one step of SplitMix64
/// (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
func scramble(_ word: UInt64) -> UInt64 {
  var z = word &+ 0x9E37_79B9_7F4A_7C15
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}
