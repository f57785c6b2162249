import Ground

/// Something that a study varies, with the settings that it tries.
public struct StudyAxis: Equatable, Sendable {
  /// Axes that change the training data; any other changes keys of the run file.
  public enum DataAxis: String, CaseIterable, Sendable {
    /// How many records are trained on.
    case size = "data_size"
    /// The share of answers that are exchanged for those of other records.
    case noise = "label_noise"
    /// The share of records that differ from each other; repeated ones fill up to the same number.
    case diversity
  }

  public struct Setting: Equatable, Sendable {
    public let name: String
    /// The setting as a number, where it is one.
    public let amount: Double?
    /// What it changes in the run file.
    let changes: YAMLTree
  }

  public let name: String
  public let data: DataAxis?
  public let settings: [Setting]

  /// Whether the settings are numbers, so that figures can be drawn over them.
  public var isNumeric: Bool { settings.count > 1 && settings.allSatisfy { $0.amount != nil } }
}

/// All axes of a study.
struct StudyAxes: RunFileValue {
  var axes: [StudyAxis] = []

  static let wanted = "axes with settings"

  static func reading(_ tree: YAMLTree, at key: String, over current: StudyAxes?) throws -> StudyAxes {
    guard case .mapping(let members) = tree.content else { throw mismatch(tree, at: key) }
    return StudyAxes(axes: try members.map { try StudyAxis($0) })
  }
  var written: Written { .scalar("{}") }
}

extension StudyAxis {
  /// A list of values, of a data axis or of a key of the run file; or settings with names.
  init(_ member: YAMLTree.Member) throws {
    let key = "vary.\(shortened(member.key))"
    try StudyAxis.checkName(member.key, "an axis", at: member.place)
    name = member.key
    data = DataAxis(rawValue: member.key)
    switch member.value.content {
    case .list(let values): settings = try StudyAxis.settings(values, of: name, data, key, at: member.place)
    case .mapping(let named) where data == nil:
      settings = try named.map { setting in
        try StudyAxis.checkName(setting.key, "a setting", at: setting.place)
        guard setting.value.isNull || setting.value.isSection else {
          throw Fault(
            .badConfiguration, "'\(key).\(setting.key)' wants keys of the run file, found \(setting.value.found)",
            at: setting.place, "write {train.steps: 100}, or {} for the run file as it is")
        }
        return Setting(
          name: setting.key, amount: nil, changes: try setting.value.sections(of: "\(key).\(setting.key)"))
      }
    default:
      throw Fault(
        .badConfiguration,
        "'\(key)' wants \(data == nil ? "settings with names, or a list of values" : "a list of numbers"), "
          + "found \(member.value.found)", at: member.place, "correct the value")
    }
    guard !settings.isEmpty else {
      throw Fault(.badConfiguration, "'\(key)' has no setting", at: member.place, "give one, or leave the axis out")
    }
    if let twice = Dictionary(grouping: settings, by: \.name).first(where: { $1.count > 1 })?.key {
      throw Fault(.badConfiguration, "'\(key)' has '\(twice)' twice", at: member.place, "keep one of them")
    }
  }

  private static func settings(
    _ values: [YAMLTree], of name: String, _ data: DataAxis?, _ key: String, at place: String
  ) throws -> [Setting] {
    let first = name.split(separator: ".").first.map(String.init) ?? ""
    guard data != nil || RunConfiguration.keys.contains(where: { $0.name == first }) else {
      let near = didYouMean(name, among: DataAxis.allCases.map(\.rawValue) + RunConfiguration.keys.map(\.name))
      throw Fault(
        .badConfiguration, "'\(key)' is a list, and no data axis and no key of the run file\(near)", at: place,
        "use data_size, label_noise, diversity or a key such as train.steps, or give settings with names")
    }
    return try values.map { value in
      guard case .scalar(let text, let plain) = value.content, !value.isNull else {
        throw Fault(
          .badConfiguration, "'\(key)' lists \(value.found)", at: value.place,
          "list single values, or name the settings")
      }
      let amount = plain ? Scalar.number(text) : nil
      try data?.check(text, amount, key, at: value.place)
      let label = text.split(separator: "/").last.map(String.init) ?? text
      try checkName(label, "a setting", at: value.place)
      let changes = YAMLTree(
        content: .mapping(data == nil ? [.init(key: name, place: place, value: value)] : []), place: place,
        folder: value.folder)
      return Setting(name: label, amount: amount, changes: try changes.sections(of: key))
    }
  }

  /// Names become parts of names of folders.
  private static func checkName(_ name: String, _ what: String, at place: String) throws {
    let allowed = name.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || "._+-".utf8.contains($0)
    }
    guard allowed, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= 60 else {
      throw Fault(
        .badConfiguration, "'\(shortened(name))' cannot be the name of \(what)", at: place,
        "use at most 60 letters, digits, '.', '_', '+' and '-'")
    }
  }
}

extension StudyAxis.DataAxis {
  /// The setting of data_size that takes all records.
  static let all = "all"

  fileprivate func check(_ text: String, _ amount: Double?, _ key: String, at place: String) throws {
    let (isSound, wanted) =
      switch self {
      case .size: (text == Self.all || amount.map { $0 >= 1 && $0 == $0.rounded() && $0 < 1e15 } ?? false, "1 or more")
      case .noise: (amount.map { (0...1).contains($0) } ?? false, "a share from 0 to 1")
      case .diversity: (amount.map { $0 > 0 && $0 <= 1 } ?? false, "a share above 0, at most 1")
      }
    guard !isSound else { return }
    throw Fault(.badConfiguration, "'\(key)' has '\(shortened(text))'", at: place, "give \(wanted)")
  }
}

extension YAMLTree {
  fileprivate var isSection: Bool { if case .mapping = content { true } else { false } }

  /// The same with `a.b: c` as `a: {b: c}` on the first level.
  /// - Throws: `Fault` for `output`, and where keys of a setting contradict each other; `setting` is what it is called.
  fileprivate func sections(of setting: String) throws -> YAMLTree {
    let empty = YAMLTree(content: .mapping([]), place: place, folder: folder)
    guard case .mapping(let members) = content else { return empty }
    let all = members.map { member -> YAMLTree in
      let names = member.key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      return names.reversed().reduce(member.value) { inner, name in
        YAMLTree(
          content: .mapping([.init(key: name, place: member.place, value: inner)]), place: member.place, folder: folder)
      }
    }
    let whole = all.reduce(empty) { $0.merged(with: $1) }
    for leaf in all.flatMap(\.leaves) {
      guard leaf.path.first != "output" else {
        throw Fault(
          .badConfiguration, "'\(setting)' sets 'output', and every cell has a folder of its own", at: leaf.value.place,
          "remove it; the study's own 'output' says where the cells lie")
      }
      guard whole.says(leaf.value, at: leaf.path) else {
        throw Fault(
          .badConfiguration, "'\(setting)' contradicts itself in '\(leaf.path.joined(separator: "."))'",
          at: leaf.value.place, "keep one of the two")
      }
    }
    return whole
  }
}
