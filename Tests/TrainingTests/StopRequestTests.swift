import Foundation
import TestSupport
import Training
import XCTest

/// A run stops when a file or a signal asks for it.
final class StopRequestTests: FolderTests {
  private func wait(upTo seconds: Double, until isDone: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    while !isDone(), Date() < end { usleep(1000) }
    return isDone()
  }

  func testNobodyHasAsked() {
    let stop = StopRequest()
    XCTAssertFalse(stop.isMade)
    stop.output = folder
    XCTAssertFalse(stop.isMade)
    stop.clear()
    XCTAssertFalse(stop.isMade)
  }

  func testAFileAsks() throws {
    let stop = StopRequest()
    try place("", "STOP")
    XCTAssertFalse(stop.isMade, "the folder is not known yet")
    stop.output = folder
    XCTAssertTrue(stop.isMade)
    stop.clear()
    XCTAssertFalse(stop.isMade)
    XCTAssertFalse(FileManager.default.fileExists(atPath: folder + "/STOP"))
  }

  func testASignalAsksAndStaysAsked() {
    let stop = StopRequest()
    kill(getpid(), SIGUSR1)
    XCTAssertTrue(wait(upTo: 10) { stop.isMade })
    stop.output = folder
    stop.clear()
    XCTAssertTrue(stop.isMade)
    XCTAssertFalse(StopRequest().isMade, "a later run is not asked")
  }
}
