import Foundation
import XCTest

/// Runs `parallel-check` under `mpirun`, where there is one.
final class MPITests: XCTestCase {
  private struct Ended {
    let code: Int32
    let output: String
    let errors: String
    let time: Duration

    /// The lines of this program itself on standard error, without the launcher's.
    var lines: [String] { errors.split(separator: "\n").map(String.init).filter { $0.hasPrefix("mmdist:") } }
  }

  private func launcher() throws -> String {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/mpirun") }) else {
      throw XCTSkip("there is no mpirun here")
    }
    return "\(folder)/mpirun"
  }

  /// Starts the program on `ranks` ranks; it is killed, which is a failure, when it takes longer than `limit`.
  /// - Parameter line: what rank 1 waits for: the file that the program is told of is there once this line is.
  private func run(_ mode: String, ranks: Int, until line: String? = nil, limit: Duration = .seconds(120)) throws
    -> Ended
  {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try launcher())
    let tests = try XCTUnwrap(Bundle.main.executableURL)
    let program = tests.deletingLastPathComponent().appendingPathComponent("parallel-check")
    var environment = ProcessInfo.processInfo.environment
    if geteuid() == 0 {
      environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
      environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    }
    process.environment = environment
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("parallel-check-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let signal = folder.appendingPathComponent("go").path
    process.arguments =
      ["--quiet", "--oversubscribe", "--bind-to", "none", "-n", "\(ranks)", program.path, mode, signal]
    func text(_ name: String) throws -> String {
      try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    }
    func file(_ name: String) throws -> FileHandle {
      _ = FileManager.default.createFile(atPath: folder.appendingPathComponent(name).path, contents: nil)
      return try FileHandle(forWritingTo: folder.appendingPathComponent(name))
    }
    let streams = [try file("out"), try file("err")]
    (process.standardOutput, process.standardError) = (streams[0], streams[1])
    let began = ContinuousClock.now
    try process.run()
    for stream in streams { try stream.close() }
    while process.isRunning, ContinuousClock.now - began < limit {
      Thread.sleep(forTimeInterval: 0.02)
      if let line, try text("err").contains(line + "\n") {
        _ = FileManager.default.createFile(atPath: signal, contents: nil)
      }
    }
    let inTime = !process.isRunning
    if !inTime {
      process.terminate()  // mpirun ends its ranks, and then itself
      process.waitUntilExit()
    }
    XCTAssertTrue(inTime, "\(mode) on \(ranks) ranks took longer than \(limit)")
    return Ended(
      code: process.terminationStatus, output: try text("out"), errors: try text("err"),
      time: ContinuousClock.now - began)
  }

  func testSameBitsOnAnyNumberOfRanks() throws {
    var digests: Set<Substring> = []
    for ranks in [1, 2, 3, 4, 8] {
      let ended = try run("digest", ranks: ranks)
      XCTAssertEqual(ended.code, 0, ended.errors)
      let words = ended.output.split(whereSeparator: \.isWhitespace)
      XCTAssertEqual(words.last, "\(ranks)")
      if words.count == 4 { digests.insert(words[1]) }
    }
    XCTAssertEqual(digests.count, 1, "\(digests)")
  }

  func testAbortEndsTheJobWithOneLine() throws {
    let ended = try run("abort", ranks: 3)
    XCTAssertEqual(ended.code, 65)
    XCTAssertEqual(ended.lines.count, 1, ended.errors)
    XCTAssertTrue(ended.lines.first?.hasPrefix("mmdist: error: rank 1 on ") == true, ended.errors)
    XCTAssertTrue(
      ended.lines.first?.hasSuffix(", step 2: the picture is cut off (cat.jpg): replace it") == true, ended.errors)
    XCTAssertLessThan(ended.time, .seconds(60))
  }

  func testAThrownFaultReachesAllRanks() throws {
    let ended = try run("throw", ranks: 3)
    XCTAssertEqual(ended.code, 65)
    XCTAssertEqual(ended.lines.count, 1, ended.errors)
    XCTAssertTrue(
      ended.lines.first?.hasSuffix(", step 2: the picture is cut off (cat.jpg): replace it") == true, ended.errors)
    XCTAssertLessThan(ended.time, .seconds(60))
  }

  func testAFailedRankDoesNotWaitForBusyOnes() throws {
    let ended = try run("busy", ranks: 2)
    XCTAssertEqual(ended.code, 65)
    XCTAssertEqual(ended.lines.count, 1, ended.errors)
    XCTAssertLessThan(ended.time, .seconds(60))
  }

  func testAKilledRankEndsTheJob() throws {
    let ended = try run("kill", ranks: 3)
    XCTAssertNotEqual(ended.code, 0)
    XCTAssertEqual(ended.output, "")
    XCTAssertLessThan(ended.time, .seconds(60))
  }

  func testDifferentRunFilesAreRefused() throws {
    let ended = try run("differ", ranks: 3)
    XCTAssertEqual(ended.code, 78)
    XCTAssertEqual(ended.lines.count, 1, ended.errors)
    XCTAssertTrue(ended.lines.first?.contains("rank 2 on ") == true, ended.errors)
  }

  func testDifferentCollectivesAreNoticed() throws {
    let ended = try run("mismatch", ranks: 2)
    XCTAssertEqual(ended.code, 70)
    XCTAssertEqual(ended.lines.count, 1, ended.errors)
    XCTAssertTrue(ended.lines.first?.contains("'gradients, bucket 1: exchange") == true, ended.errors)
  }

  func testALongWaitIsToldOf() throws {
    let line = "mmdist: waiting for rank 1: ranks 0, 2 in 'gradients, bucket 1: exchange' for over 1 s"
    let ended = try run("late", ranks: 3, until: line)
    XCTAssertEqual(ended.code, 0, ended.errors)
    XCTAssertEqual(ended.output, "done\n")
    XCTAssertTrue(ended.lines.contains(line), ended.errors)
  }
}
