/// One record of TensorFlow's record format: length (u64), its masked CRC (u32), the bytes, their masked CRC (u32),
/// all little endian.
func record(of bytes: [UInt8]) -> [UInt8] {
  let length = littleEndian(UInt64(bytes.count))
  return length + littleEndian(maskedChecksum(length)) + bytes + littleEndian(maskedChecksum(bytes))
}

/// The CRC rotated right by 15 bits plus a constant, so that a CRC over data that holds CRCs stays strong.
private func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
  let sum = crc32c(bytes)
  return (sum >> 15 | sum << 17) &+ 0xa282_ead8
}

/// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected), as in RFC 3720.
func crc32c(_ bytes: [UInt8]) -> UInt32 {
  var state = UInt32.max
  for byte in bytes { state = state >> 8 ^ crcTable[Int(UInt8(truncatingIfNeeded: state) ^ byte)] }
  return ~state
}

/// The CRC of each single byte.
private let crcTable: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { state, _ in state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
