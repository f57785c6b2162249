import Foundation
import Ground
import Modules
import RunFile

/// Which linear layers an adapter wraps, as PEFT's `target_modules` says it.
public typealias Targets = RunFile.Targets

extension Targets {
  /// Finds out whether a path is a target.
  /// - Throws: `Fault(.badConfiguration)` for an expression that is none.
  func matcher() throws -> (_ path: String, _ isHead: Bool) -> Bool {
    switch self {
    case .allLinear:
      return { _, isHead in !isHead }
    case .names(let names):
      return { path, _ in names.contains { Targets.ends(path, with: $0) } }
    case .pattern(let pattern):
      // Both are compiled: the brackets around the second could make a whole expression of a broken one.
      guard (try? NSRegularExpression(pattern: pattern)) != nil,
        let expression = try? NSRegularExpression(pattern: "(?:\(pattern))\\z")
      else {
        throw Fault(
          .badConfiguration, "\"\(pattern)\" is not a regular expression", at: "targets",
          "correct it, or give a list of names")
      }
      return { path, _ in
        let whole = NSRange(path.startIndex..., in: path)
        return expression.firstMatch(in: path, options: .anchored, range: whole) != nil
      }
    }
  }

  static func ends(_ path: String, with name: String) -> Bool { path == name || path.hasSuffix("." + name) }
}
