import Checkpoints
import Datasets
import Foundation
import Ground
import OrderedCollections
import Parallel
import RunFile
import Tensors
import Training

/// A study on its way: the cells that are missing are run one after another by all ranks.
public final class Study {
  public enum Ending: Equatable, Sendable { case finished, stopped }

  /// What a study tells while it goes on; rank 0 alone is told.
  public protocol Audience: TrainingRun.Audience {
    func begins(_ cell: StudyCell, _ number: Int, of count: Int)
    func ended(_ cell: StudyCell, _ result: CellResult)
  }

  public let configuration: StudyConfiguration
  public let cells: [StudyCell]
  private let communicator: any Communicator
  private let threads: Int
  private let makeBackend: () throws -> any Backend

  /// Looks at every cell before the first is run.
  /// - Parameter makeBackend: a backend of its own for each cell, so that its memory goes back with it.
  /// - Throws: `Fault` for what makes no sense in any cell.
  public init(
    _ configuration: StudyConfiguration, _ communicator: any Communicator, threads: Int,
    makeBackend: @escaping () throws -> any Backend
  ) throws {
    self.configuration = configuration
    (self.communicator, self.threads, self.makeBackend) = (communicator, threads, makeBackend)
    try configuration.checkMetrics()
    cells = try configuration.cells()
    try communicator.agree(on: Array(cells.map { $0.name + $0.hash }.joined().utf8), what: "study")
  }

  /// What is there of each cell.
  public var results: [CellResult?] { cells.map { CellResult.read($0.configuration.output) } }

  /// Runs the cells that have no result yet, and those that failed.
  public func run(_ stop: StopRequest, _ audience: any Audience) throws -> Ending {
    let lock = try communicator.agreeOnSuccess {
      communicator.rank == 0 ? try OutputLock(output: configuration.output) : nil
    }
    defer { withExtendedLifetime(lock) {} }
    stop.output = configuration.output
    let missing = try missing()
    if communicator.rank == 0, missing.count < cells.count {
      audience.note("\(cells.count - missing.count) of \(cells.count) cells are done already")
    }
    for (number, index) in missing.enumerated() {
      if try stop.isMade(onAny: communicator) {
        if communicator.rank == 0 { stop.clear() }
        try communicator.barrier()
        return .stopped
      }
      let cell = cells[index]
      if communicator.rank == 0 { audience.begins(cell, number + 1, of: missing.count) }
      guard let result = try run(cell, stop, audience) else { return .stopped }
      if communicator.rank == 0 { audience.ended(cell, result) }
    }
    return .finished
  }

  /// The cells to be run, as rank 0 finds them.
  private func missing() throws -> [Int] {
    let found = try communicator.agreeOnSuccess { () -> [Int] in
      guard communicator.rank == 0 else { return [] }
      try checkFolders()
      try checkData()
      return zip(cells.indices, results).filter { _, result in
        result?.measured == nil || result?.asked != configuration.asked
      }.map(\.0)
    }
    let bytes = try communicator.broadcast(Array(JSON.array(found.map(JSON.integer)).description.utf8))
    return try JSON(parsing: String(decoding: bytes, as: UTF8.self), at: "cells").array?.compactMap(\.integer) ?? []
  }

  /// A cell's folder belongs to one setting: results of others must not be taken for it.
  private func checkFolders() throws {
    for cell in cells {
      let folder = cell.configuration.output
      guard let begun = CellNote.hash(folder), begun != cell.hash else { continue }
      let isTrained = FileManager.default.fileExists(atPath: folder + "/checkpoints")
      guard isTrained || CellResult.read(folder)?.measured != nil else { continue }
      let earlier = (try? readFile(folder + "/run.yaml")).flatMap {
        try? RunConfiguration(parsing: String(decoding: $0, as: UTF8.self))
      }
      let differences = earlier.map(cell.configuration.differences) ?? []
      let first = differences.first { !$0.hasPrefix("data.train.") }.map { ": \($0)" } ?? ""
      throw Fault(
        .badConfiguration, "cell \(cell.name) was run with other settings\(first)", at: folder,
        "choose another output, or remove the folder")
    }
  }

  /// Every cell's records must suffice before the first is trained.
  private func checkData() throws {
    var counts: [String: Int] = [:]
    for cell in cells {
      guard let size = cell.data?.size else { continue }
      let sources = cell.configuration.data.train
      for source in sources where counts[source.path] == nil {
        counts[source.path] = try DataFile(
          source.path, dataset: source.dataset, cache: cell.configuration.cacheFolder
        ).count
      }
      let all = sources.reduce(0) { $0 + (counts[$1.path] ?? 0) }
      guard size <= all else {
        throw Fault(
          .badConfiguration, "data_size \(size) is more than the \(all) records that there are", at: "vary.data_size",
          "ask for at most \(all), or 'all'")
      }
    }
  }

  /// - Returns: what the cell came to, also where it failed; nil where a stop was asked for.
  private func run(_ cell: StudyCell, _ stop: StopRequest, _ audience: any Audience) throws -> CellResult? {
    let folder = cell.configuration.output
    do {
      let result = try communicator.agreeOnSuccess {
        try CellRun(
          cell: cell, study: configuration, communicator: communicator, threads: threads, backend: makeBackend(),
          audience: audience)(stop)
      }
      guard let result else { return nil }
      if communicator.rank == 0, !configuration.keepCheckpoints {
        try? FileManager.default.removeItem(atPath: folder + "/checkpoints")
      }
      return result
    } catch let fault as Fault where fault.kind != .cannotWrite {
      // Where nothing can be written, no other cell could be either.
      let result = CellResult(
        hash: cell.hash, asked: configuration.asked, outcome: .failed(kind: fault.kind, fault.description))
      try communicator.agreeOnSuccess {
        guard communicator.rank == 0 else { return }
        try makeFolder(folder)
        try writeDurably(result.json.indented, to: "\(folder)/\(CellResult.fileName)")
      }
      return result
    }
  }
}
