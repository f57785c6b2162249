/// The alphabet of byte-level vocabularies: every byte is written as one printable scalar.
///
/// The printable bytes of Latin-1 stand for themselves, the 68 others for U+0100 and upward (GPT-2).
enum ByteAlphabet {
  /// The scalar that each byte is written as.
  static let scalars: [Unicode.Scalar] = {
    var scalars: [Unicode.Scalar] = []
    var next: UInt32 = 0x100
    for byte in UInt8.min...UInt8.max {
      if isPrintable(byte) {
        scalars.append(Unicode.Scalar(byte))
      } else {
        scalars.append(Unicode.Scalar(next)!)
        next += 1
      }
    }
    return scalars
  }()

  /// The UTF-8 of each byte's scalar.
  static let encoded: [[UInt8]] = scalars.map { Array(UTF8.encode($0)!) }

  /// The byte that a scalar is written for, by scalar value; nil where there is none.
  static let bytes: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
    return bytes
  }()

  /// The bytes that a token of a byte-level vocabulary stands for; nil when it holds a foreign scalar.
  static func decode(_ token: some Collection<UInt8>) -> [UInt8]? {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(token.count)
    for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
      guard scalar.value < bytes.count, let byte = bytes[Int(scalar.value)] else { return nil }
      decoded.append(byte)
    }
    return decoded
  }

  private static func isPrintable(_ byte: UInt8) -> Bool {
    (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
  }
}
