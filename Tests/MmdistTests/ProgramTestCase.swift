import Foundation
import Ground
import TestSupport
import Training
import XCTest

/// A test case that runs the program in a folder of its own, which is empty before each test and gone after it.
class ProgramTestCase: XCTestCase {
  private(set) var folder = ""
  private var captures: String { folder + ".captures" }

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path + "/mmdist-" + UUID().uuidString
    try makeFolder(folder)
    try makeFolder(captures)
  }

  override func tearDownWithError() throws {
    for path in [folder, captures] { try remove(path) }
  }

  /// Ranks that a launcher has ended may write for a moment more, which makes a folder that is being removed fill again.
  private func remove(_ path: String) throws {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
      if (try? FileManager.default.removeItem(atPath: path)) != nil { return }
      usleep(20_000)
    }
    try FileManager.default.removeItem(atPath: path)
  }

  // MARK: Running

  /// - Parameters:
  ///   - cache: a folder; by default one that the test's runs share.
  ///   - lastRankIn: where the last rank works, below the test's folder.
  ///   - firstRankAfter: how much later than the others the first rank begins, in seconds.
  func start(
    _ arguments: [String], ranks: Int? = nil, threads: Int? = nil, cache: String? = nil,
    lastRank: [String: String] = [:], lastRankIn: String? = nil, firstRankAfter: Int = 0
  ) throws -> Program.Running {
    var environment = threads.map { ["OMP_NUM_THREADS": "\($0)"] } ?? [:]
    environment["MMDIST_CACHE"] = cache ?? captures + "/cache"
    return try Program(
      arguments: arguments, ranks: ranks, folder: folder, captures: captures, environment: environment,
      lastRanksEnvironment: lastRank, lastRanksFolder: lastRankIn.map(path), firstRanksDelay: firstRankAfter
    ).start()
  }

  func run(_ arguments: [String], ranks: Int? = nil, file: StaticString = #filePath, line: UInt = #line) throws
    -> Program.Ended
  {
    try start(arguments, ranks: ranks).ended(file: file, line: line)
  }

  /// Runs to a success.
  @discardableResult
  func succeed(_ arguments: [String], ranks: Int? = nil, file: StaticString = #filePath, line: UInt = #line) throws
    -> Program.Ended
  {
    let ended = try run(arguments, ranks: ranks, file: file, line: line)
    XCTAssertEqual(ended.code, 0, "\(arguments): \(ended.errors)", file: file, line: line)
    return ended
  }

  /// Runs alone and on two ranks, and wants each time one line on standard error that holds `says`, and the exit code.
  func assertRefused(
    _ arguments: [String], _ kind: Fault.Kind, _ says: String..., file: StaticString = #filePath, line: UInt = #line
  ) throws {
    try assertRefused(arguments, kind, says, file: file, line: line)
  }

  func assertRefused(
    _ arguments: [String], _ kind: Fault.Kind, _ says: [String], file: StaticString = #filePath, line: UInt = #line
  ) throws {
    for ranks in [nil, 2] {
      let ended = try run(arguments, ranks: ranks, file: file, line: line)
      XCTAssertEqual(ended.code, kind.rawValue, "\(arguments): \(ended.errors)", file: file, line: line)
      XCTAssertFalse(ended.wasSignalled, file: file, line: line)
      XCTAssertEqual(ended.errorLines.count, 1, ended.errors, file: file, line: line)
      XCTAssertTrue(ended.errors.hasPrefix("mmdist: error: "), ended.errors, file: file, line: line)
      for words in says {
        XCTAssertTrue(ended.errors.contains(words), "no '\(words)' in: \(ended.errors)", file: file, line: line)
      }
    }
  }

  // MARK: Files

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: path(name), atomically: false, encoding: .utf8)
  }

  func bytes(_ name: String) throws -> Data { try readFile(path(name)) }

  /// Changes a file of the test's folder.
  func change(_ name: String, _ body: (inout Data) throws -> Void) throws {
    var data = try bytes(name)
    try body(&data)
    try data.write(to: URL(fileURLWithPath: path(name)))
  }

  func copy(_ source: String, to name: String) throws {
    try FileManager.default.copyItem(atPath: source, toPath: path(name))
  }

  // MARK: What a run left

  /// The lines of `metrics.jsonl`.
  func metrics(_ output: String) throws -> [JSON] {
    try String(decoding: bytes("\(output)/metrics.jsonl"), as: UTF8.self).split(separator: "\n").map {
      try JSON(parsing: String($0), at: "metrics.jsonl")
    }
  }

  /// The text of `metrics.jsonl` without what depends on the clock and on the number of ranks.
  func timelessMetrics(_ output: String) throws -> String {
    try metrics(output).map { line in
      JSON.object((line.object ?? [:]).filter { !StepReport.timingKeys.contains($0.key) }).description + "\n"
    }.joined()
  }

  /// Waits until `metrics.jsonl` has a line for `step`.
  func waitForStep(_ step: Int, of output: String, _ running: Program.Running) throws {
    let end = ContinuousClock.now + .seconds(300)
    while running.process.isRunning, ContinuousClock.now < end {
      if let data = try? bytes("\(output)/metrics.jsonl"), data.count(where: { $0 == 0x0A }) >= step { return }
      usleep(500)
    }
    let ended = try running.ended(within: 1)
    throw Fault(.internalError, "step \(step) was not seen (exit code \(ended.code))", at: output, ended.errors)
  }

  func checkpoints(_ output: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path("\(output)/checkpoints")).sorted()
  }
}
