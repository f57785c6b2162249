import COniguruma
import Ground

/// A compiled regular expression of Oniguruma, the engine whose dialect `tokenizer.json` is written in.
///
/// A compiled pattern is never changed, so any number of threads may search with it.
final class RegularExpression: @unchecked Sendable {
  /// Steps that one search may go back before it is given up: keeps a bad pattern from running for ever.
  static let retryLimit: UInt = 10_000_000
  /// Entries of the engine's stack (about 50 bytes each) before a search is given up.
  static let stackLimit: UInt32 = 16_000_000

  private static let libraryIsReady: Bool = {
    var encoding: OnigEncoding? = oniguruma_utf8()
    return onig_initialize(&encoding, 1) == ONIG_NORMAL && defineCategories()
  }()

  /// Gives the library the general categories of Unicode 16, so that `\p{L}` and its like do not depend on the
  /// version of the library.
  ///
  /// The library keeps the tables for the life of the process.
  private static func defineCategories() -> Bool {
    for (name, ranges) in UnicodeCategories.ranges(of: 16) {
      let table = UnsafeMutablePointer<OnigCodePoint>.allocate(capacity: ranges.count * 2 + 1)
      table[0] = OnigCodePoint(ranges.count)
      for (index, range) in ranges.enumerated() {
        table[2 * index + 1] = OnigCodePoint(range.lowerBound)
        table[2 * index + 2] = OnigCodePoint(range.upperBound)
      }
      if onig_unicode_define_user_property(name, table) != ONIG_NORMAL { return false }
    }
    return true
  }

  let pattern: String
  private let compiled: OnigRegex

  /// - Throws: `Fault(.badConfiguration)` when the pattern is not a regular expression.
  init(_ pattern: String, at place: String) throws {
    guard RegularExpression.libraryIsReady else {
      throw Fault(.internalError, "Oniguruma does not start", at: place, "reinstall libonig")
    }
    self.pattern = pattern
    var result: OnigRegex?
    var details = OnigErrorInfo()
    let bytes = RegularExpression.writingOutPunctuation(pattern)
    compiled = try bytes.withUnsafeBufferPointer { text in
      let start = text.baseAddress ?? UnsafePointer(bitPattern: 1)!
      let code = onig_new(
        &result, start, start + text.count, OnigOptionType(ONIG_OPTION_NONE), oniguruma_utf8(),
        oniguruma_default_syntax(), &details)
      guard code == ONIG_NORMAL, let result else {
        let reason = RegularExpression.message(for: code, &details)
        throw Fault(
          .badConfiguration, "not a regular expression, \(reason): \(pattern)", at: place, "correct the pattern")
      }
      return result
    }
  }

  deinit { onig_free(compiled) }

  /// Calls `body` with each match in `text`, from left to right, without overlaps.
  ///
  /// An empty match right behind another match does not count.
  /// - Throws: `Fault(.badData)` when a search takes more than ``retryLimit`` steps.
  func forEachMatch(in text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) throws {
    guard let start = text.baseAddress, let region = onig_region_new(), let limits = onig_new_match_param() else {
      return
    }
    defer {
      onig_region_free(region, 1)
      onig_free_match_param(limits)
    }
    onig_initialize_match_param(limits)
    onig_set_retry_limit_in_match_of_match_param(limits, RegularExpression.retryLimit)
    onig_set_retry_limit_in_search_of_match_param(limits, RegularExpression.retryLimit)
    onig_set_match_stack_limit_size_of_match_param(limits, RegularExpression.stackLimit)

    let end = start + text.count
    var position = 0
    var lastEnd: Int?
    while position <= text.count {
      let found = onig_search_with_param(
        compiled, start, end, start + position, end, region, OnigOptionType(ONIG_OPTION_NONE), limits)
      if found == ONIG_MISMATCH { return }
      guard found >= 0 else {
        throw Fault(
          .badData,
          "the pattern of the tokenizer gives up on this text, \(RegularExpression.message(for: found)): \(pattern)",
          "shorten the text, or use a tokenizer with a simpler pattern")
      }
      let (first, last) = (Int(region.pointee.beg[0]), Int(region.pointee.end[0]))
      // `\K` in a look-around can move the beginning out of the match.
      guard first >= position, first <= last else {
        throw Fault(.badData, "the pattern of the tokenizer matches backwards: \(pattern)", "correct the pattern")
      }
      let match = first..<last
      if match.isEmpty, match.upperBound == lastEnd {
        position += position < text.count ? UTF8Text.length(of: text[position]) : 1
        continue
      }
      position = match.upperBound
      lastEnd = match.upperBound
      body(match)
    }
  }

  private static func message(for code: Int32) -> String {
    var details = OnigErrorInfo()
    return message(for: code, &details)
  }

  private static func message(for code: Int32, _ details: inout OnigErrorInfo) -> String {
    var text = [CChar](repeating: 0, count: Int(ONIG_MAX_ERROR_MESSAGE_LEN) + 1)
    let count = oniguruma_message(&text, code, &details)
    return String(decoding: text.prefix(Int(max(0, count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
