import Foundation

/// A stream of random numbers that is a pure function of what it is for, so that the same numbers are drawn
/// on any number of ranks and in any order.
public struct RandomStream: Sendable {
  public let key: UInt64

  /// - Parameter parts: what the stream is for, such as seed, step and the index of a micro-batch.
  public init(_ parts: [UInt64]) {
    key = parts.reduce(0x6d6d_6469_7374_0001) { RandomStream.mix($0 ^ RandomStream.mix($1 &+ 0x9e37_79b9_7f4a_7c15)) }
  }

  /// A stream of its own for everything with a name.
  public func named(_ name: String) -> RandomStream {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return RandomStream([key, hash])
  }

  /// The number at `index`, all 64 bits of it uniform.
  public func bits(at index: Int) -> UInt64 {
    RandomStream.mix(key &+ (UInt64(bitPattern: Int64(index)) &+ 1) &* 0x9e37_79b9_7f4a_7c15)
  }

  /// Uniform in [0, 1).
  public func uniform(at index: Int) -> Double { Double(bits(at: index) >> 11) * 0x1p-53 }

  /// A number of the standard normal distribution (Box & Muller 1958).
  public func normal(at index: Int) -> Double {
    let (first, second) = (uniform(at: 2 * index), uniform(at: 2 * index + 1))
    return (-2 * log(1 - first)).squareRoot() * cos(2 * Double.pi * second)
  }

  /// splitmix64 (Steele et al. 2014): a bijection that spreads every bit.
  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
