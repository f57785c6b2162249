import CXXHash

/// XXH3 of 128 bits over bytes that come in pieces; written as `xxh128sum` writes it.
///
/// It finds accidents (flipped bits, lost or exchanged blocks), not forgeries.
package final class Checksum {
  private let state: OpaquePointer

  package init() {
    guard let state = XXH3_createState() else { preconditionFailure("out of memory") }
    self.state = state
    XXH3_128bits_reset(state)
  }

  deinit { XXH3_freeState(state) }

  package func add(_ bytes: UnsafeRawBufferPointer) { XXH3_128bits_update(state, bytes.baseAddress, bytes.count) }

  /// 32 hexadecimal digits, the high half first.
  package var digits: String {
    let hash = XXH3_128bits_digest(state)
    return [hash.high64, hash.low64].map { half in
      let digits = String(half, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  package static func digits(of bytes: UnsafeRawBufferPointer) -> String {
    let checksum = Checksum()
    checksum.add(bytes)
    return checksum.digits
  }
}
