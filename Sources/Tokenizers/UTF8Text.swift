/// Reading Unicode scalars from bytes that are known to be valid UTF-8.
enum UTF8Text {
  /// Bytes of the scalar that begins with `lead`.
  @inline(__always)
  static func length(of lead: UInt8) -> Int {
    if lead < 0x80 { return 1 }
    if lead < 0xE0 { return 2 }
    return lead < 0xF0 ? 3 : 4
  }

  /// Whether `byte` continues a scalar instead of beginning one.
  @inline(__always)
  static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

  /// The scalar that begins at `index`, and how many bytes it has.
  @inline(__always)
  static func scalar(_ text: UnsafeBufferPointer<UInt8>, at index: Int) -> (value: UInt32, length: Int) {
    let lead = UInt32(text[index])
    if lead < 0x80 { return (lead, 1) }
    let second = UInt32(text[index + 1] & 0x3F)
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
    let third = UInt32(text[index + 2] & 0x3F)
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, 3) }
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[index + 3] & 0x3F), 4)
  }

  /// The scalar that ends before `index`, and how many bytes it has.
  static func scalar(_ text: UnsafeBufferPointer<UInt8>, before index: Int) -> (value: UInt32, length: Int) {
    var start = index - 1
    while isContinuation(text[start]) { start -= 1 }
    return scalar(text, at: start)
  }

  /// Calls `body` with every scalar of `range` and where it stands.
  @inline(__always)
  static func forEachScalar(
    _ text: UnsafeBufferPointer<UInt8>, in range: Range<Int>, _ body: (Unicode.Scalar, Range<Int>) -> Void
  ) {
    var index = range.lowerBound
    while index < range.upperBound {
      let (value, length) = scalar(text, at: index)
      body(Unicode.Scalar(value) ?? "\u{FFFD}", index..<index + length)
      index += length
    }
  }

  /// Whether `text` has `prefix` at `index`.
  static func has(_ prefix: [UInt8], _ text: UnsafeBufferPointer<UInt8>, in range: Range<Int>) -> Bool {
    guard range.count >= prefix.count else { return false }
    for offset in prefix.indices where text[range.lowerBound + offset] != prefix[offset] { return false }
    return true
  }
}

extension Array where Element == UInt8 {
  /// Appends the UTF-8 of a scalar.
  mutating func append(scalar: Unicode.Scalar) {
    append(contentsOf: UTF8.encode(scalar)!)
  }
}
