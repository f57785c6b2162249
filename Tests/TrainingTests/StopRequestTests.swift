import Foundation
import Parallel
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

  private func isMade(_ stop: StopRequest) -> Bool { (try? stop.isMade(onAny: SingleProcess())) ?? false }

  func testNobodyHasAsked() {
    let stop = StopRequest()
    XCTAssertFalse(isMade(stop))
    stop.output = folder
    XCTAssertFalse(isMade(stop))
    stop.clear()
    XCTAssertFalse(isMade(stop))
  }

  func testAFileAsks() throws {
    let stop = StopRequest()
    try place("", "STOP")
    XCTAssertFalse(isMade(stop), "the folder is not known yet")
    stop.output = folder
    XCTAssertTrue(isMade(stop))
    stop.clear()
    XCTAssertFalse(isMade(stop))
    XCTAssertFalse(FileManager.default.fileExists(atPath: folder + "/STOP"))
  }

  func testASignalAsksAndStaysAsked() {
    let stop = StopRequest()
    kill(getpid(), SIGUSR1)
    XCTAssertTrue(wait(upTo: 10) { isMade(stop) })
    stop.output = folder
    stop.clear()
    XCTAssertTrue(isMade(stop))
    XCTAssertFalse(isMade(StopRequest()), "a later run is not asked")
  }

  /// Of several ranks only the first looks for the file, and all hear of it.
  func testRank0LooksForAll() throws {
    let (folder, other) = (folder, folder + "/other")
    try place("", "STOP")
    for asked in 0..<3 {
      let heard = try InProcessCommunicator.run(3) { communicator in
        let stop = StopRequest()
        stop.output = communicator.rank == asked ? folder : other
        return try stop.isMade(onAny: communicator)
      }
      XCTAssertEqual(heard, [Bool](repeating: asked == 0, count: 3), "the file is there for rank \(asked)")
    }
  }
}
