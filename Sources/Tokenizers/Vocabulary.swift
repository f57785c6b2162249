import Ground
import OrderedCollections

/// The tokens of a model: text to id and back. Ids may have gaps.
struct Vocabulary: Sendable {
  /// Ids from here on are refused, so that a damaged file cannot ask for tables without end.
  static let idLimit = 1 << 24

  /// How many tokens there are.
  let count: Int
  /// The UTF-8 of all tokens, one after the other.
  private var text: [UInt8] = []
  /// By id: where the token begins in `text`, and its length; −1 where no token has that id.
  private var starts: [Int32]
  private var lengths: [Int32]
  /// A hash table of ids; −1 is a free slot.
  private var slots: [Int32]
  private let seed = Hashing.seed

  /// The highest id + 1.
  var idEnd: Int { starts.count }

  /// - Throws: `Fault(.badData)` for ids that are no ids, or that two tokens have.
  init(_ tokens: OrderedDictionary<String, JSON>, at place: String) throws {
    count = tokens.count
    var highest = -1
    for (token, value) in tokens.elements {
      guard let id = value.integer, (0..<Vocabulary.idLimit).contains(id) else {
        throw Fault(
          .badData, "the id of token '\(token)' is not a number from 0 to \(Vocabulary.idLimit - 1)", at: place,
          "correct the vocabulary")
      }
      highest = max(highest, id)
    }
    starts = [Int32](repeating: -1, count: highest + 1)
    lengths = [Int32](repeating: -1, count: highest + 1)
    var slotCount = 16
    while slotCount < tokens.count * 2 { slotCount *= 2 }
    slots = [Int32](repeating: -1, count: slotCount)

    for (token, value) in tokens.elements {
      let id = value.integer!
      guard lengths[id] < 0 else {
        let other = String(decoding: self.token(id) ?? [], as: UTF8.self)
        throw Fault(
          .badData, "tokens '\(other)' and '\(token)' have the same id \(id)", at: place, "correct the vocabulary")
      }
      starts[id] = Int32(text.count)
      text.append(contentsOf: token.utf8)
      lengths[id] = Int32(text.count) - starts[id]
    }
    text.withUnsafeBufferPointer { text in
      for id in starts.indices where lengths[id] >= 0 {
        let bytes = UnsafeBufferPointer(rebasing: text[Int(starts[id])..<Int(starts[id] + lengths[id])])
        var slot = Int(truncatingIfNeeded: Hashing.hash(bytes, seed: seed)) & (slotCount - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slotCount - 1) }
        slots[slot] = Int32(id)
      }
    }
  }

  /// The UTF-8 of a token.
  func token(_ id: Int) -> ArraySlice<UInt8>? {
    guard lengths.indices.contains(id), lengths[id] >= 0 else { return nil }
    return text[Int(starts[id])..<Int(starts[id] + lengths[id])]
  }

  /// Calls `body` with the UTF-8 of a token, which must be there.
  func withToken<Result>(_ id: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    text.withUnsafeBufferPointer { text in
      body(UnsafeBufferPointer(rebasing: text[Int(starts[id])..<Int(starts[id] + lengths[id])]))
    }
  }

  /// The id of the token with this text.
  func id(_ token: UnsafeBufferPointer<UInt8>) -> Int32? {
    var slot = Int(truncatingIfNeeded: Hashing.hash(token, seed: seed)) & (slots.count - 1)
    while slots[slot] >= 0 {
      let id = slots[slot]
      if Int(lengths[Int(id)]) == token.count, isEqual(token, at: Int(starts[Int(id)])) { return id }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  func id(_ token: [UInt8]) -> Int32? { token.withUnsafeBufferPointer { id($0) } }

  func id(_ token: String) -> Int32? {
    var token = token
    return token.withUTF8 { id($0) }
  }

  @inline(__always)
  private func isEqual(_ token: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
    text.withUnsafeBufferPointer { text in
      for offset in token.indices where text[start + offset] != token[offset] { return false }
      return true
    }
  }
}
