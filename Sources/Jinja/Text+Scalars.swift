/// Strings counted in Unicode scalars, as Python counts them.
extension Text {
  /// Number of Unicode scalars.
  var scalarCount: Int { bytes.reduce(into: 0) { $0 += $1 & 0xC0 != 0x80 ? 1 : 0 } }

  /// The byte offsets at which scalars begin, and the end.
  var boundaries: [Int] {
    var offsets: [Int] = []
    offsets.reserveCapacity(bytes.count + 1)
    for (offset, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 { offsets.append(offset) }
    offsets.append(bytes.count)
    return offsets
  }

  /// The scalar that begins at a byte offset, and the offset behind it.
  func scalar(at offset: Int) -> (scalar: Unicode.Scalar, next: Int) {
    let lead = bytes[offset]
    if lead < 0x80 { return (Unicode.Scalar(lead), offset + 1) }
    let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
    var value = UInt32(lead) & (0xFF >> UInt32(length + 1))
    for index in offset + 1..<offset + length { value = value << 6 | UInt32(bytes[index] & 0x3F) }
    return (Unicode.Scalar(value) ?? "\u{FFFD}", offset + length)
  }

  /// The scalar that ends before a byte offset, and where it begins.
  func scalar(before offset: Int) -> (scalar: Unicode.Scalar, start: Int) {
    var start = offset - 1
    while bytes[start] & 0xC0 == 0x80 { start -= 1 }
    return (scalar(at: start).scalar, start)
  }

  var scalars: [Unicode.Scalar] { Array(string.unicodeScalars) }

  /// The scalar at an index that may count from the end, as a string of its own.
  func character(_ index: Int) -> Text? {
    if isASCII {
      let at = index < 0 ? index + bytes.count : index
      return bytes.indices.contains(at) ? slice(at..<at + 1) : nil
    }
    let offsets = boundaries
    let at = index < 0 ? index + offsets.count - 1 : index
    return (0..<offsets.count - 1).contains(at) ? slice(offsets[at]..<offsets[at + 1]) : nil
  }

  /// The scalars at the given indices, in that order.
  func gather(_ indices: some Sequence<Int>) throws -> Text {
    let offsets = boundaries
    var builder = TextBuilder()
    for index in indices { try builder.append(self, offsets[index]..<offsets[index + 1]) }
    return builder.text
  }

  /// HTML that shows the text.
  func escaped() throws -> Text {
    let html = try mapScalars { scalar, _ in
      switch scalar {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "'": "&#39;"
      case "\"": "&#34;"
      default: String(scalar)
      }
    }
    return html.markup
  }

  /// The text as HTML, escaped unless it counts as that already.
  func asMarkup() throws -> Text { isMarkup ? self : try escaped() }

  /// Replaces every scalar by a string; the pieces keep their origin.
  func mapScalars(_ transform: (Unicode.Scalar, _ index: Int) -> String) throws -> Text {
    var builder = TextBuilder()
    var offset = 0
    var index = 0
    while offset < bytes.count {
      let (scalar, next) = self.scalar(at: offset)
      try builder.append(transform(scalar, index).utf8, runs.isEmpty ? .template : origin(at: offset))
      offset = next
      index += 1
    }
    return builder.text
  }
}

extension Unicode.Scalar {
  /// What Python's `str.isspace` holds to be white space.
  var isPythonSpace: Bool {
    switch value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  /// What Python's `str.splitlines` holds to end a line.
  var isPythonLineEnd: Bool {
    switch value {
    case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  /// What Python's `repr` shows as it is.
  var isPythonPrintable: Bool {
    if value == 0x20 { return true }
    return switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      false
    default: true
    }
  }
}
