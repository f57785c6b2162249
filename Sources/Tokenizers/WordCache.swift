/// A token within a word: its id, and how many bytes of the word it stands for; less than 0: those of the token before, once
/// more.
struct WordToken {
  var id: Int32
  var length: Int32
}

/// What the model made of the words that were seen lately.
struct WordCache {
  /// Longer words are not kept.
  static let longestWord = 256
  /// When there are this many words, the cache begins anew.
  static let capacity = 1 << 16

  private struct Entry {
    var hash: UInt64
    var start: Int32
    var length: Int32
    var firstToken: Int32
    var tokenCount: Int32
  }

  private var entries: [Entry] = []
  private var words: [UInt8] = []
  private var tokens: [WordToken] = []
  private var slots = [Int32](repeating: -1, count: 1 << 10)
  private let seed = Hashing.seed

  func hash(_ word: UnsafeBufferPointer<UInt8>) -> UInt64 { Hashing.hash(word, seed: seed) }

  /// Appends the tokens of a known word to `result`.
  @inline(__always)
  func find(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, into result: inout [WordToken]) -> Bool {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] >= 0 {
      let entry = entries[Int(slots[slot])]
      if entry.hash == hash, Int(entry.length) == word.count, isEqual(word, at: Int(entry.start)) {
        for index in Int(entry.firstToken)..<Int(entry.firstToken + entry.tokenCount) { result.append(tokens[index]) }
        return true
      }
      slot = (slot + 1) & mask
    }
    return false
  }

  /// Keeps a word that ``find(_:hash:into:)`` does not know.
  mutating func insert(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, _ wordTokens: ArraySlice<WordToken>) {
    if entries.count == WordCache.capacity { removeAll() }
    if entries.count * 2 >= slots.count { grow() }
    entries.append(
      Entry(
        hash: hash, start: Int32(words.count), length: Int32(word.count), firstToken: Int32(tokens.count),
        tokenCount: Int32(wordTokens.count)))
    words.append(contentsOf: word)
    tokens.append(contentsOf: wordTokens)
    place(entries.count - 1)
  }

  private mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    words.removeAll(keepingCapacity: true)
    tokens.removeAll(keepingCapacity: true)
    for slot in slots.indices { slots[slot] = -1 }
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    for index in entries.indices { place(index) }
  }

  private mutating func place(_ index: Int) {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: entries[index].hash) & mask
    while slots[slot] >= 0 { slot = (slot + 1) & mask }
    slots[slot] = Int32(index)
  }

  @inline(__always)
  private func isEqual(_ word: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
    words.withUnsafeBufferPointer { words in
      for offset in word.indices where words[start + offset] != word[offset] { return false }
      return true
    }
  }
}

extension Workbench {
  /// Appends the tokens of a word as they were found lately, or as `cut` finds them now.
  func tokens(
    of word: UnsafeBufferPointer<UInt8>, into result: inout [WordToken], cut: (inout [WordToken]) throws -> Void
  ) rethrows {
    guard word.count <= WordCache.longestWord else { return try cut(&result) }
    let hash = cache.hash(word)
    if cache.find(word, hash: hash, into: &result) { return }
    let first = result.count
    try cut(&result)
    cache.insert(word, hash: hash, result[first...])
  }
}
