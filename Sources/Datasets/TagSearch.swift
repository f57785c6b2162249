/// Where `pattern` stands in the UTF-8 bytes of a text, from left to right, without overlap (as Python's `str.replace`).
///
/// Bytes and not characters: a combining mark after `<image>` joins its last letter into one `Character`,
/// so that a search by characters would miss the tag.
func occurrences(of pattern: String, in text: String) -> [Range<Int>] {
  let wanted = Array(pattern.utf8)
  guard let first = wanted.first else { return [] }
  var text = text
  return text.withUTF8 { bytes in
    var found: [Range<Int>] = []
    var start = 0
    while start + wanted.count <= bytes.count {
      if bytes[start] == first, wanted.indices.allSatisfy({ bytes[start + $0] == wanted[$0] }) {
        found.append(start..<start + wanted.count)
        start += wanted.count
      } else {
        start += 1
      }
    }
    return found
  }
}
