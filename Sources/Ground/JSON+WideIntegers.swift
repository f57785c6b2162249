extension JSON {
  /// JSON text in which `.0` stands behind every integer beyond 64 bits, so that it is read as a real; all else is as it was.
  static func writingWideIntegersAsReals(_ text: UnsafeRawBufferPointer) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + 2)
    var position = 0
    while position < text.count {
      let start = position
      switch text[position] {
      case UInt8(ascii: "\""): position = endOfString(text, from: position)
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        while position < text.count, numberBytes.contains(text[position]) { position += 1 }
      default: position += 1
      }
      result += text[start..<position]
      if isWideInteger(text[start..<position]) { result += Array(".0".utf8) }
    }
    return result
  }

  private static let numberBytes = Set("+-.0123456789Ee".utf8)

  /// Behind the quotation mark that ends the string which begins at `start`.
  private static func endOfString(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
    var position = start + 1
    while position < text.count, text[position] != UInt8(ascii: "\"") {
      position += text[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(position + 1, text.count)
  }

  private static func isWideInteger(_ token: Slice<UnsafeRawBufferPointer>) -> Bool {
    let digits = token.first == UInt8(ascii: "-") ? token.dropFirst() : token
    guard digits.count > 18, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return false
    }
    return Int(String(decoding: token, as: UTF8.self)) == nil
  }
}
