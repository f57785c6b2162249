import Foundation
import Ground

/// A study: one run file in many variants, each trained and evaluated, to be compared.
public struct StudyConfiguration: Equatable, Sendable {
  /// The run file that every cell starts from.
  public var run = ""
  public var output = "./study"
  var vary = StudyAxes()
  public var repeats = 1
  public var metrics = ["loss"]
  public var samples = 0
  public var maxNewTokens = 64
  /// Of some axes the setting that others are compared with.
  public var baseline: StudyBaseline?
  public var keepCheckpoints = false

  public init() {}

  /// What is varied, in the order of the file.
  public var axes: [StudyAxis] { vary.axes }
}

extension StudyConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("run", path: \.run, "run file that every cell starts from"),
    Key("output", path: \.output, "folder for the cells and the report"),
    Key("vary", \.vary, "axes, each with its settings: every combination is a cell"),
    Key("repeats", \.repeats, "runs of each combination, with train.seed, + 1, + 2, …", otherNames: ["seeds"]),
    Key("metrics", \.metrics, "what is measured on the validation data, as mmdist eval --metrics"),
    Key("samples", \.samples, "how many validation records, evenly spread; 0: all"),
    Key("max_new_tokens", \.maxNewTokens, "most tokens of an answer"),
    Key("baseline", \.baseline, "axis: setting that other settings of the axis are compared with"),
    Key("keep_checkpoints", \.keepCheckpoints, "keep the checkpoints of finished cells"),
  ]

  static func places(ofKeysCalled name: String) -> [String] { [] }

  /// The most cells of a study.
  static let mostCells = 10_000

  func validate(at key: String) throws {
    try require(!run.isEmpty, "run", "is missing", "name a run file")
    try require(!output.isEmpty, "output", "is missing", "name a folder")
    try require(!axes.isEmpty, "vary", "is missing", "name what is varied, as in vary: {data_size: [50, 200]}")
    try require(
      (1...1000).contains(repeats), "repeats", "is \(repeats)", "give 1 or more, 3 for intervals, at most 1000")
    try require(!metrics.isEmpty, "metrics", "is empty", "name one, such as loss")
    try require(samples >= 0, "samples", "is \(samples)", "give 0 or more")
    try require(
      (1...Most.tokens).contains(maxNewTokens), "max_new_tokens", "is \(maxNewTokens)", "give 1 to \(Most.tokens)")
    let cells = axes.reduce(Double(repeats)) { $0 * Double($1.settings.count) }
    try require(
      cells <= Double(Self.mostCells), "vary", "asks for \(Int(min(cells, 1e15))) cells",
      "vary less: \(Self.mostCells) are the most")
    for (axis, setting) in baseline?.settings ?? [:] {
      guard let own = axes.first(where: { $0.name == axis }) else {
        let names = axes.map(\.name)
        throw Fault(
          .badConfiguration, "'baseline' names no axis: '\(shortened(axis))'\(didYouMean(axis, among: names))",
          at: "baseline", "use \(names.joined(separator: ", "))")
      }
      let names = own.settings.map(\.name)
      try require(
        names.contains(setting), "baseline.\(axis)",
        "is no setting of the axis: '\(shortened(setting))'\(didYouMean(setting, among: names))",
        "use one of \(names.joined(separator: ", "))")
    }
  }
}

extension StudyConfiguration {
  /// Every key of a study file, one a line.
  public static var documentation: String { keyLines.map { $0 + "\n" }.joined() }

  /// Reads a study file; relative paths start from its folder.
  /// - Throws: `Fault(.missingInput)` without the file, `.badConfiguration` for what cannot be read or makes no sense.
  public init(contentsOf path: String) throws {
    let data = try readFile(path)
    guard let text = String(validating: data, as: UTF8.self) else {
      throw Fault(.badConfiguration, "not UTF-8 text", at: path, "give a YAML file")
    }
    let absolute = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    let tree = try YAMLTree(parsing: text, name: path, folder: parentFolder(of: absolute))
    self = try StudyConfiguration.reading(tree, at: "", over: nil)
    if !output.hasPrefix("/") { output = (tree.folder + "/" + output as NSString).standardizingPath }
    try validate(at: "")
  }
}

/// Of some axes the setting that others are compared with, as `{method: full}`.
public struct StudyBaseline: RunFileValue {
  public var settings: [String: String] = [:]

  static let wanted = "axes with a setting each"
  static func reading(_ tree: YAMLTree, at key: String, over current: StudyBaseline?) throws -> StudyBaseline {
    guard case .mapping(let members) = tree.content, !members.isEmpty else { throw mismatch(tree, at: key) }
    var baseline = StudyBaseline()
    for member in members {
      baseline.settings[member.key] = try String.reading(member.value, at: "\(key).\(member.key)", over: nil)
    }
    return baseline
  }
  var written: Written { .scalar("{}") }
}
