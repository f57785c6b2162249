import Foundation
import Ground
import Yams

extension YAMLTree {
  /// Bounds that keep a hostile file from costing more than a moment; no honest run file comes near them.
  enum Bounds {
    static let bytes = 1 << 20
    /// What the text may come to when every alias is replaced by what it stands for.
    static let expandedBytes = Double(1 << 22)
    static let values = 100_000
    static let depth = 32
  }

  /// Parses one YAML document; an empty one is a section without keys.
  /// - Throws: `Fault(.badConfiguration)` at `name:line`.
  init(parsing text: String, name: String, folder: String) throws {
    let text = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
    guard text.utf8.count <= Bounds.bytes else {
      throw Fault(
        .badConfiguration, "too long: \(text.utf8.count) bytes of YAML", at: name,
        "a run file has at most \(Bounds.bytes) bytes")
    }
    // The parser compares keys with their aliases replaced. With n aliases the text grows most when three of each level
    // stand for three of the next: 3^(n / 3) fold.
    let aliases = aliasCount(in: text)
    guard pow(3, Double(aliases) / 3) * Double(text.utf8.count) <= Bounds.expandedBytes else {
      throw Fault(
        .badConfiguration, "too many YAML aliases (*name): \(aliases)", at: name, "write some of the values out")
    }
    do {
      let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
      guard let root = try parser.singleRoot() else {
        self.init(content: .mapping([]), place: name, folder: folder)
        return
      }
      var reading = Reading(name: name, folder: folder)
      self = try reading.tree(from: root, depth: 0)
    } catch let error as YamlError {
      throw fault(from: error, name: name)
    }
  }
}

/// Turns the parser's nodes into a tree, counting as it goes.
private struct Reading {
  let name: String
  let folder: String
  var count = 0

  init(name: String, folder: String) {
    self.name = name
    self.folder = folder
  }

  mutating func tree(from node: Node, depth: Int) throws -> YAMLTree {
    let place = place(of: node)
    count += 1
    guard depth <= YAMLTree.Bounds.depth, count <= YAMLTree.Bounds.values else {
      throw Fault(.badConfiguration, "nested too deep or too many values", at: place, "simplify the file")
    }
    let content: YAMLTree.Content
    switch node {
    case .scalar(let scalar):
      content = .scalar(scalar.string, plain: scalar.style == .plain || scalar.style == .any)
    case .sequence(let sequence):
      content = .list(try sequence.map { try tree(from: $0, depth: depth + 1) })
    case .mapping(let mapping):
      content = .mapping(try members(of: mapping, depth: depth))
    case .alias:
      throw Fault(.badConfiguration, "an alias without a value", at: place, "write the value out")
    }
    return YAMLTree(content: content, place: place, folder: folder)
  }

  /// The keys and values of a mapping; `<<: *base` adds the keys of `base` that it does not have itself.
  private mutating func members(of mapping: Node.Mapping, depth: Int) throws -> [YAMLTree.Member] {
    var members: [YAMLTree.Member] = []
    var merged: [YAMLTree.Member] = []
    var names: Set<String> = []
    for (key, value) in mapping {
      guard case .scalar(let scalar) = key else {
        throw Fault(.badConfiguration, "a key that is not a name", at: place(of: key), "write 'key: value'")
      }
      let tree = try tree(from: value, depth: depth + 1)
      if scalar.string == "<<", scalar.style == .plain {
        merged += try mergedMembers(of: tree)
        continue
      }
      guard names.insert(scalar.string).inserted else {
        throw duplicate(scalar.string, at: place(of: key))
      }
      members.append(.init(key: scalar.string, place: place(of: key), value: tree))
    }
    for member in merged where names.insert(member.key).inserted { members.append(member) }
    return members
  }

  private func mergedMembers(of tree: YAMLTree) throws -> [YAMLTree.Member] {
    switch tree.content {
    case .mapping(let members): return members
    case .list(let trees): return try trees.flatMap(mergedMembers)
    case .scalar:
      throw Fault(
        .badConfiguration, "'<<' merges \(tree.found)", at: tree.place, "give it a section, as in '<<: *name'")
    }
  }

  private func place(of node: Node) -> String { node.mark.map { "\(name):\($0.line)" } ?? name }
}

private func duplicate(_ key: String, at place: String) -> Fault {
  Fault(.badConfiguration, "key '\(shortened(key))' stands twice in one section", at: place, "keep one of them")
}

/// How many aliases the text can hold at most: a `*` at the start of a word, with a name behind it.
private func aliasCount(in text: String) -> Int {
  var count = 0
  var before = UInt8(ascii: " ")
  var isStar = false
  for byte in text.utf8 {
    let isBlank = [0x20, 0x09, 0x0A, 0x0D].contains(byte)
    if isStar, !isBlank { count += 1 }
    let opensWord = [0x20, 0x09, 0x0A, 0x0D].contains(before) || "[{,:-?".utf8.contains(before)
    isStar = byte == UInt8(ascii: "*") && opensWord
    before = byte
  }
  return count
}

private func fault(from error: YamlError, name: String) -> Fault {
  let remedy = "correct the YAML there"
  switch error {
  case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
    .composer(let context, let problem, let mark, _):
    let during = context.map { " \($0.text)" } ?? ""
    return Fault(.badConfiguration, "not valid YAML: \(problem)\(during)", at: "\(name):\(mark.line)", remedy)
  case .reader(let problem, let offset, _, let yaml):
    let line = offset.map { 1 + yaml.prefix($0).count(where: \.isNewline) }
    return Fault(.badConfiguration, "not valid YAML: \(problem)", at: line.map { "\(name):\($0)" } ?? name, remedy)
  case .duplicatedKeysInMapping(let keys, let context):
    return duplicate(keys.first ?? "", at: "\(name):\(context.mark.line)")
  default:
    return Fault(.badConfiguration, "not valid YAML, or nested too deep", at: name, remedy)
  }
}
