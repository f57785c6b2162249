import Foundation
import Ground

/// A type that a key of the run file can have.
protocol RunFileValue: Equatable, Sendable {
  /// What a message and the documentation call it: `an integer`, `replica | shard`.
  static var wanted: String { get }
  /// The keys inside it, with the defaults of `example`, when it is a section or holds sections.
  static func innerKeys(of example: Self?) -> [KeyDescription]
  /// Reads the value that stands at `key`. A section starts from `current`, its default.
  static func reading(_ tree: YAMLTree, at key: String, over current: Self?) throws -> Self
  var written: Written { get }
}

extension RunFileValue {
  static func innerKeys(of example: Self?) -> [KeyDescription] { [] }

  /// The fault of finding something else than what is wanted.
  static func mismatch(_ tree: YAMLTree, at key: String, hint: String = "") -> Fault {
    Fault(
      .badConfiguration, "'\(key)' wants \(wanted), found \(tree.found)\(hint)", at: tree.place, "correct the value")
  }
}

extension Int: RunFileValue {
  static var wanted: String { "an integer" }
  static func reading(_ tree: YAMLTree, at key: String, over current: Int?) throws -> Int {
    guard case .scalar(let text, plain: true) = tree.content, let value = Scalar.integer(text) else {
      throw mismatch(tree, at: key)
    }
    return value
  }
  var written: Written { .scalar(String(self)) }
}

extension Double: RunFileValue {
  static var wanted: String { "a number" }
  static func reading(_ tree: YAMLTree, at key: String, over current: Double?) throws -> Double {
    guard case .scalar(let text, plain: true) = tree.content, let value = Scalar.number(text) else {
      throw mismatch(tree, at: key)
    }
    return value
  }
  var written: Written { .number(self) }
}

extension Bool: RunFileValue {
  static var wanted: String { "true or false" }
  static func reading(_ tree: YAMLTree, at key: String, over current: Bool?) throws -> Bool {
    guard case .scalar(let text, plain: true) = tree.content, let value = Scalar.boolean(text) else {
      throw mismatch(tree, at: key)
    }
    return value
  }
  var written: Written { .scalar(String(self)) }
}

extension String: RunFileValue {
  static var wanted: String { "a string" }
  static func reading(_ tree: YAMLTree, at key: String, over current: String?) throws -> String {
    guard case .scalar(let text, _) = tree.content, !tree.isNull else { throw mismatch(tree, at: key) }
    return text
  }
  var written: Written { .text(self) }
}

/// A file or folder; relative ones are made absolute from the folder of the run file (from the working directory in
/// `--set`). Null is the empty path: not given.
struct RunPath: RunFileValue {
  static let wanted = "a path"
  var path: String

  static func reading(_ tree: YAMLTree, at key: String, over current: RunPath?) throws -> RunPath {
    if tree.isNull { return RunPath(path: "") }
    guard case .scalar(let text, _) = tree.content, !text.isEmpty, !text.contains("\0") else {
      throw mismatch(tree, at: key)
    }
    let expanded = (text as NSString).expandingTildeInPath
    let absolute = expanded.hasPrefix("/") ? expanded : tree.folder + "/" + expanded
    return RunPath(path: (absolute as NSString).standardizingPath)
  }
  var written: Written { path.isEmpty ? .scalar("null") : .text(path) }
}

/// One of a few names, as in `precision: float32 | bfloat16`.
protocol RunFileChoice: RunFileValue, CaseIterable, RawRepresentable where RawValue == String {}

extension RunFileChoice {
  static var wanted: String { allCases.map(\.rawValue).joined(separator: " | ") }
  static func reading(_ tree: YAMLTree, at key: String, over current: Self?) throws -> Self {
    guard case .scalar(let text, _) = tree.content else { throw mismatch(tree, at: key) }
    guard let value = Self(rawValue: text) else {
      throw mismatch(tree, at: key, hint: didYouMean(text, among: allCases.map(\.rawValue)))
    }
    return value
  }
  var written: Written { .text(rawValue) }
}

extension Optional: RunFileValue where Wrapped: RunFileValue {
  static var wanted: String { Wrapped.wanted + " or null" }
  static func innerKeys(of example: Wrapped??) -> [KeyDescription] { Wrapped.innerKeys(of: example ?? nil) }
  static func reading(_ tree: YAMLTree, at key: String, over current: Wrapped??) throws -> Wrapped? {
    tree.isNull ? nil : try Wrapped.reading(tree, at: key, over: current ?? nil)
  }
  var written: Written { self?.written ?? .scalar("null") }
}

extension Array: RunFileValue where Element: RunFileValue {
  static var wanted: String { "a list" }
  static func innerKeys(of example: [Element]?) -> [KeyDescription] { Element.innerKeys(of: example?.first) }
  static func reading(_ tree: YAMLTree, at key: String, over current: [Element]?) throws -> [Element] {
    if tree.isNull { return [] }
    guard case .list(let entries) = tree.content else { throw mismatch(tree, at: key) }
    return try entries.enumerated().map { try Element.reading($1, at: "\(key).\($0)", over: nil) }
  }
  var written: Written { .list(map(\.written)) }
}
