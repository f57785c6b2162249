import Foundation
import Ground

/// One `--set key.path=value`: a value that takes the place of what the run file says.
struct Override {
  let key: String
  private let components: [String]
  private let value: YAMLTree

  /// Parses `key.path=value`; the value is YAML, and relative paths in it start from the working directory.
  /// - Throws: `Fault(.usage)` for a malformed argument, `Fault(.badConfiguration)` for a value that is not YAML.
  init(parsing argument: String) throws {
    guard let split = argument.firstIndex(of: "=") else {
      throw Fault(.usage, "no '=' in '\(shortened(argument))'", at: "--set", "write --set key.path=value")
    }
    key = argument[..<split].trimmingCharacters(in: .whitespaces)
    components = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard !components.contains(""), components.count <= YAMLTree.Bounds.depth else {
      throw Fault(.usage, "'\(shortened(key))' is not a key", at: "--set", "write --set key.path=value")
    }
    let place = "--set \(key)"
    let folder = FileManager.default.currentDirectoryPath
    let text = String(argument[argument.index(after: split)...])
    do {
      let value = try YAMLTree(parsing: text, name: place, folder: folder)
      let isEmpty = text.allSatisfy(\.isWhitespace)
      self.value = isEmpty ? .null(place: place, folder: folder) : value.placed(at: place)
    } catch let fault as Fault {
      throw Fault(fault.kind, fault.what, at: place, "quote the value or " + fault.remedy)
    }
  }

  /// Puts the value into `tree`, making the sections and list entries on the way.
  func apply(to tree: inout YAMLTree) throws { try graft(components[...], into: &tree, above: []) }

  private func graft(_ rest: ArraySlice<String>, into tree: inout YAMLTree, above: [String]) throws {
    guard let component = rest.first else {
      tree = value
      return
    }
    if tree.isNull { tree.content = Int(component) == nil ? .mapping([]) : .list([]) }
    let absent = YAMLTree.null(place: value.place, folder: value.folder)
    let here = above + [component]
    switch tree.content {
    case .mapping(var members):
      let index = members.firstIndex { $0.key == component } ?? members.endIndex
      if index == members.endIndex { members.append(.init(key: component, place: value.place, value: absent)) }
      try graft(rest.dropFirst(), into: &members[index].value, above: here)
      tree.content = .mapping(members)
    case .list(var entries):
      guard let index = Int(component), entries.indices.contains(index) || index == entries.count else {
        throw Fault(
          .badConfiguration, "no entry '\(component)' in '\(above.joined(separator: "."))'", at: value.place,
          "it has \(entries.count) entries, counted from 0")
      }
      if index == entries.count { entries.append(absent) }
      try graft(rest.dropFirst(), into: &entries[index], above: here)
      tree.content = .list(entries)
    case .scalar:
      throw Fault(
        .badConfiguration, "unknown key '\(key)'", at: value.place,
        "'\(above.joined(separator: "."))' is a single value and has no keys of its own")
    }
  }
}

extension YAMLTree {
  /// The same values, all told to stand at `place`.
  fileprivate func placed(at place: String) -> YAMLTree {
    var copy = self
    copy.place = place
    switch content {
    case .scalar: break
    case .list(let entries): copy.content = .list(entries.map { $0.placed(at: place) })
    case .mapping(let members):
      copy.content = .mapping(members.map { .init(key: $0.key, place: place, value: $0.value.placed(at: place)) })
    }
    return copy
  }
}
