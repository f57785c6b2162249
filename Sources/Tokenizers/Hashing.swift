/// A fast hash of bytes and of integers, for tables that are built once and probed often.
///
/// The tables are of bounded size and are probed linearly; `seed` differs from process to process, so
/// that a file cannot aim at one bucket.
enum Hashing {
  static let seed: UInt64 = UInt64.random(in: .min ... .max) | 1

  @inline(__always)
  static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }

  @inline(__always)
  static func hash(_ value: UInt64, seed: UInt64) -> UInt64 {
    mix(value ^ seed, 0x9E37_79B9_7F4A_7C15)
  }

  @inline(__always)
  static func hash(_ bytes: UnsafeBufferPointer<UInt8>, seed: UInt64) -> UInt64 {
    let raw = UnsafeRawBufferPointer(bytes)
    var hash = seed ^ UInt64(truncatingIfNeeded: raw.count)
    var index = 0
    while index + 8 <= raw.count {
      hash = mix(hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self), 0x9E37_79B9_7F4A_7C15)
      index += 8
    }
    var tail: UInt64 = 0
    while index < raw.count {
      tail = tail << 8 | UInt64(raw[index])
      index += 1
    }
    return mix(hash ^ tail, 0xD6E8_FEB8_6659_FD93)
  }
}
