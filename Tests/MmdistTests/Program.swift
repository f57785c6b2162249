import Foundation
import XCTest

/// The built executable as a user runs it: alone or under `mpirun`, in a working directory, for a bounded time.
struct Program {
  /// The executable lies beside the test bundle.
  static let path = (Bundle.main.executableURL?.deletingLastPathComponent().path ?? ".") + "/mmdist"

  let arguments: [String]
  /// nil: without a launcher.
  let ranks: Int?
  let folder: String
  /// Where what it prints is caught.
  let captures: String
  /// Set beside what the test itself has.
  var environment: [String: String] = [:]
  /// Set for the last rank alone.
  var lastRanksEnvironment: [String: String] = [:]
  /// Where the last rank works, as on a host with files of its own; nil: where the others do.
  var lastRanksFolder: String?
  /// How much later than the others the first rank begins, in seconds.
  var firstRanksDelay = 0

  /// A run that is going on.
  final class Running {
    let process: Process
    fileprivate let began = ContinuousClock.now
    fileprivate let output: String
    fileprivate let errors: String

    fileprivate init(_ process: Process, output: String, errors: String) {
      (self.process, self.output, self.errors) = (process, output, errors)
    }

    /// Waits for the end; what takes longer than `limit` seconds is killed, and is a failure.
    func ended(within limit: TimeInterval = 300, file: StaticString = #filePath, line: UInt = #line) throws -> Ended {
      while process.isRunning, ContinuousClock.now - began < .seconds(limit) { usleep(2000) }
      if process.isRunning {
        XCTFail("not done after \(limit) s: \(process.arguments ?? [])", file: file, line: line)
        kill()
      }
      return Ended(
        code: process.terminationStatus, wasSignalled: process.terminationReason == .uncaughtSignal,
        output: String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self),
        errors: String(decoding: try Data(contentsOf: URL(fileURLWithPath: errors)), as: UTF8.self),
        seconds: (ContinuousClock.now - began) / .seconds(1))
    }

    /// Ends it by force; a launcher gets the time to end its ranks.
    func kill() {
      process.terminate()
      let end = ContinuousClock.now + .seconds(30)
      while process.isRunning, ContinuousClock.now < end { usleep(2000) }
      if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
      process.waitUntilExit()
    }

    /// The processes that the launcher started, in the order of their ranks.
    func rankProcesses() throws -> [Int32] {
      let launcher = process.processIdentifier
      let children = try String(contentsOfFile: "/proc/\(launcher)/task/\(launcher)/children", encoding: .utf8)
      return children.split(separator: " ").compactMap { Int32($0) }.filter { child in
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(child)/exe")
        return link == Program.path
      }.sorted()
    }
  }

  /// What a run left behind.
  struct Ended {
    let code: Int32
    let wasSignalled: Bool
    let output: String
    let errors: String
    let seconds: TimeInterval

    var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
  }

  func start() throws -> Running {
    let process = Process()
    var environment = ProcessInfo.processInfo.environment
    environment["OMP_NUM_THREADS"] = nil
    environment["MMDIST_CACHE"] = captures + "/cache"
    environment.merge(self.environment) { $1 }
    if let ranks {
      process.executableURL = URL(fileURLWithPath: try Program.launcher())
      process.arguments =
        ["-q", "--oversubscribe", "--bind-to", "none"] + ranksArguments(ranks)
      environment["OMPI_MCA_odls_base_sigkill_timeout"] = "0"  // else it takes a second more to end a failed job
      if geteuid() == 0 {
        environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
        environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
      }
    } else {
      process.executableURL = URL(fileURLWithPath: Program.path)
      process.arguments = arguments
    }
    process.environment = environment
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let place = "\(captures)/\(UUID().uuidString)"
    func file(_ name: String) throws -> FileHandle {
      _ = FileManager.default.createFile(atPath: place + name, contents: nil)
      return try FileHandle(forWritingTo: URL(fileURLWithPath: place + name))
    }
    process.standardInput = FileHandle.nullDevice
    let streams = [try file(".out"), try file(".err")]
    (process.standardOutput, process.standardError) = (streams[0], streams[1])
    try process.run()
    for stream in streams { try stream.close() }  // a process keeps what it is given, and the suite starts a thousand
    return Running(process, output: place + ".out", errors: place + ".err")
  }

  private func ranksArguments(_ ranks: Int) -> [String] {
    let own = [Program.path] + arguments
    let settings =
      lastRanksEnvironment.flatMap { ["-x", "\($0)=\($1)"] } + (lastRanksFolder.map { ["-wdir", $0] } ?? [])
    if firstRanksDelay > 0 {
      let late = ["sh", "-c", "sleep \(firstRanksDelay); exec \"$0\" \"$@\""]
      return ["-n", "1"] + late + own + [":", "-n", "\(ranks - 1)"] + own
    }
    guard !settings.isEmpty else { return ["-n", "\(ranks)"] + own }
    return ["-n", "\(ranks - 1)"] + own + [":", "-n", "1"] + settings + own
  }

  private static func launcher() throws -> String {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/mpirun") }) else {
      throw XCTSkip("there is no mpirun here")
    }
    return "\(folder)/mpirun"
  }
}
