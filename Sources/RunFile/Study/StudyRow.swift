import Ground

extension StudyConfiguration {
  /// The run file with the settings of a row, one of each axis, laid over it.
  ///
  /// What a setting says must hold in its cells, or the table would tell of what was not run. A list of values for one
  /// key may all the same refine settings with names that stand before it and say something else too.
  /// - Throws: `Fault(.badConfiguration)` that names both axes and the key.
  func laid(_ row: [StudyAxis.Setting], over tree: YAMLTree) throws -> YAMLTree {
    var whole = tree
    // What each setting so far says that still holds.
    var kept: [[(path: [String], value: YAMLTree)]] = []
    for (place, setting) in row.enumerated() {
      whole = whole.merged(with: setting.changes)
      for former in kept.indices {
        let lost = kept[former].filter { !whole.says($0.value, at: $0.path) }
        guard let first = lost.first else { continue }
        let key = first.path.joined(separator: ".")
        // Where nothing else is left of it, the setting would be a name and no more.
        guard axes[place].name == key, lost.count == 1, kept[former].count > 1 else {
          throw Fault(
            .badConfiguration,
            "'vary.\(axes[place].name)' (\(setting.name)) takes the place of '\(key)', which "
              + "'vary.\(axes[former].name)' (\(row[former].name)) sets", at: setting.changes.place,
            "set a key in one axis alone")
        }
        kept[former].removeAll { $0.path == first.path }
      }
      kept.append(setting.changes.leaves)
    }
    return whole
  }
}

extension YAMLTree {
  /// Every single value and list, with its path; of an empty section nothing.
  var leaves: [(path: [String], value: YAMLTree)] {
    guard case .mapping(let members) = content else { return [([], self)] }
    return members.flatMap { member in member.value.leaves.map { ([member.key] + $0.path, $0.value) } }
  }

  /// Whether the value at a path is this one, wherever it was written; what is not there is null.
  func says(_ value: YAMLTree, at path: [String]) -> Bool {
    guard let name = path.first else { return isSame(as: value) }
    guard case .mapping(let members) = content, let member = members.first(where: { $0.key == name }) else {
      return value.isNull
    }
    return member.value.says(value, at: Array(path.dropFirst()))
  }

  private func isSame(as other: YAMLTree) -> Bool {
    switch (content, other.content) {
    case (.scalar(let text, let plain), .scalar(let otherText, let otherPlain)):
      text == otherText && plain == otherPlain || isNull && other.isNull
    case (.list(let entries), .list(let others)):
      entries.count == others.count && zip(entries, others).allSatisfy { $0.isSame(as: $1) }
    case (.mapping(let members), .mapping(let others)):
      members.count == others.count
        && zip(members, others).allSatisfy { $0.key == $1.key && $0.value.isSame(as: $1.value) }
    default: false
    }
  }
}
