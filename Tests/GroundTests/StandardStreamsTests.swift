import Foundation
import Ground
import XCTest

/// What is said reaches its reader whole, and what cannot be said ends nothing.
final class StandardStreamsTests: XCTestCase {
  func testWhatCannotBeSaidIsLost() {
    let full = open("/dev/full", O_WRONLY)
    defer { close(full) }
    say("a line\n", on: full)
    say("a line\n", on: 987_654)
    say("", on: full)
  }

  /// More than a pipe holds, into one whose reader is slow and that does not block.
  func testAllOfALongTextIsSaid() throws {
    var ends: [Int32] = [0, 0]
    XCTAssertEqual(pipe(&ends), 0)
    let (input, output) = (ends[0], ends[1])
    XCTAssertEqual(fcntl(output, F_SETFL, O_NONBLOCK), 0)
    let text = String(repeating: "0123456789", count: 50_000)
    let writer = Thread {
      say(text, on: output)
      close(output)
    }
    writer.start()
    usleep(20_000)
    let found = try FileHandle(fileDescriptor: input, closeOnDealloc: true).readToEnd()
    XCTAssertEqual(found, Data(text.utf8))
  }

  func testAClosedStreamIsOpenedOnNothing() {
    let kept = dup(STDIN_FILENO)
    close(STDIN_FILENO)
    openClosedStandardStreams()
    var byte: UInt8 = 0
    XCTAssertEqual(read(STDIN_FILENO, &byte, 1), 0)
    if kept >= 0 {
      dup2(kept, STDIN_FILENO)
      close(kept)
    }
  }
}
