import Checkpoints
import Foundation
import Ground
import XCTest

final class OutputLockTests: CheckpointTestCase {
  func testOneRunAtATime() throws {
    var lock: OutputLock? = try OutputLock(output: folder + "/run")
    XCTAssertNil(try XCTUnwrap(lock).unavailable)
    let problem = try fault { try OutputLock(output: folder + "/run") }
    XCTAssertEqual(problem.kind, .cannotWrite)
    XCTAssertEqual(problem.place, folder + "/run")
    XCTAssertTrue(problem.what.contains("in use by another run (host "), problem.what)
    XCTAssertTrue(problem.what.hasSuffix(", pid \(getpid()))"), problem.what)
    XCTAssertNoThrow(try OutputLock(output: folder + "/other"))
    lock = nil
    XCTAssertNoThrow(try OutputLock(output: folder + "/run"))
  }

  func testALockFileOfADeadRunIsNoLock() throws {
    try overwrite(folder + "/.lock", Data("host gone, pid 1\n".utf8))
    let lock = try OutputLock(output: folder)
    XCTAssertNil(lock.unavailable)
    let problem = try fault { try OutputLock(output: folder) }
    XCTAssertFalse(problem.what.contains("gone"), problem.what)
  }
}
