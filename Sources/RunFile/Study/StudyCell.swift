import Foundation
import Ground
import OrderedCollections

/// One run of a study: a combination of settings and a repeat.
public struct StudyCell: Equatable, Sendable {
  /// By axis, in the order of the study.
  public let settings: OrderedDictionary<String, String>
  /// From 1.
  public let number: Int
  /// As the settings ask for it; its output is the cell's folder. The data are those of the run file.
  public let configuration: RunConfiguration
  /// What is done to the training data; nil: nothing.
  public let data: DataChange?

  /// What the data axes ask for.
  public struct DataChange: Equatable, Sendable {
    /// Nil: all records.
    public var size: Int?
    public var noise = 0.0
    public var diversity = 1.0
    /// Of the choice: that of the cell's training.
    public var seed: UInt64
  }

  /// What the cell's folder is called: `method=lora,data_size=50,repeat=1`.
  public var name: String { settings.map { "\($0.key)=\($0.value)," }.joined() + "repeat=\(number)" }

  /// What tells cells with other settings apart: the run's hash and the change of its data.
  public var hash: String {
    guard let data else { return configuration.hash }
    return configuration.hash
      + ",size=\(data.size.map(String.init) ?? "all"),noise=\(data.noise),diversity=\(data.diversity)"
  }
}

extension StudyConfiguration {
  /// Every cell: the combinations in the order of the axes, the last one changing fastest, and of each all repeats.
  /// - Throws: `Fault` where a setting makes no sense in the run file.
  public func cells() throws -> [StudyCell] {
    let text = try readFile(run)
    guard let text = String(validating: text, as: UTF8.self) else {
      throw Fault(.badConfiguration, "not UTF-8 text", at: run, "give a YAML file")
    }
    let tree = try YAMLTree(parsing: text, name: run, folder: parentFolder(of: run))
    return try axes.reduce([[]]) { rows, axis in rows.flatMap { row in axis.settings.map { row + [$0] } } }
      .flatMap { row in
        let changed = try laid(row, over: tree)
        return try (1...repeats).map { try cell(row, number: $0, changed) }
      }
  }

  /// - Parameter tree: the run file with the settings of the row laid over it.
  private func cell(_ row: [StudyAxis.Setting], number: Int, _ tree: YAMLTree) throws -> StudyCell {
    var configuration = try RunConfiguration(tree)
    // What is too large becomes negative, which is refused below.
    configuration.train.seed &+= number - 1
    for index in configuration.stages.indices { configuration.stages[index].train.seed &+= number - 1 }
    let settings = OrderedDictionary(uniqueKeysWithValues: zip(axes.map(\.name), row.map(\.name)))
    var change: StudyCell.DataChange?
    for (axis, setting) in zip(axes, row) {
      guard let data = axis.data else { continue }
      var own = change ?? StudyCell.DataChange(seed: UInt64(max(0, configuration.train.seed)))
      switch data {
      case .size: own.size = setting.amount.map { Int($0) }
      case .noise: own.noise = setting.amount ?? 0
      case .diversity: own.diversity = setting.amount ?? 1
      }
      change = own
    }
    let named = StudyCell(settings: settings, number: number, configuration: configuration, data: change)
    configuration.output = "\(output)/cells/\(named.name)"
    let cell = StudyCell(settings: settings, number: number, configuration: configuration, data: change)
    do {
      try configuration.validate()
      try check(cell)
    } catch let fault as Fault {
      throw Fault(fault.kind, "\(fault.what), in cell \(cell.name)", at: fault.place, fault.remedy)
    }
    return cell
  }

  private func check(_ cell: StudyCell) throws {
    let stages = cell.configuration.runStages
    try require(
      !stages[stages.count - 1].data.validation.isEmpty, "data.validation", "has no file",
      "name what the cells are measured on")
    try require(
      cell.data == nil || cell.configuration.stages.isEmpty, "stages", "and a data axis are both given",
      "vary the data of a run without stages")
    try require(cell.name.utf8.count <= 200, "vary", "makes names longer than 200 letters", "give shorter names")
  }
}
