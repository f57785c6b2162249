import Foundation
import Ground
import TestSupport
import XCTest

/// A run whose lines cannot be written anywhere is a run all the same.
final class OutputTests: ProgramTestCase {
  private func shell(_ redirection: String) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = [
      "-c", "exec timeout 300 '\(Program.path)' train -c run.yaml --set train.steps=2 --resume never \(redirection)",
    ]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ProcessInfo.processInfo.environment.merging(["MMDIST_CACHE": folder + "/cache"]) { $1 }
    try process.run()
    process.waitUntilExit()
    XCTAssertEqual(process.terminationReason, .exit, redirection)
    return process.terminationStatus
  }

  func testTrainingWithoutAnyoneToTell() throws {
    try write("run.yaml", Golden("gpt2").runFile())
    for redirection in [">/dev/full", ">/dev/full 2>&1", ">&-", "<&- >&- 2>&-"] {
      XCTAssertEqual(try shell(redirection), 0, redirection)
      XCTAssertEqual(try metrics("run").count, 2, redirection)
      XCTAssertEqual(
        try succeed(["checkpoint", "verify", "run/checkpoints/step-00000002"]).output.hasSuffix(" 0 faults\n"), true)
    }
    // Nor does a fault change its exit code.
    for redirection in ["2>/dev/full", "2>&-"] {
      XCTAssertEqual(try shell("--set train.stepps=3 \(redirection)"), Fault.Kind.badConfiguration.rawValue)
    }
  }
}
