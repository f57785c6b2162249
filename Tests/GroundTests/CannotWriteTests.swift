import Foundation
import Ground
import XCTest

/// What is said of a file that cannot be written follows from why it cannot.
final class CannotWriteTests: XCTestCase {
  func testTheRemedyFollowsFromTheReason() throws {
    let folder = NSTemporaryDirectory() + "cannot-write-\(UUID().uuidString)"
    try makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try writeDurably("x", to: folder + "/file")
    for (path, remedy) in [
      (folder + "/no/trace.json", "make the folder, or choose another path"),
      (folder + "/file/trace.json", "make the folder, or choose another path"),
      ("/dev/full/trace.json", "make the folder, or choose another path"),
    ] {
      for write in [requireWritable, { try writeDurably("x", to: $0) }] {
        XCTAssertThrowsError(try write(path), path) { error in
          XCTAssertEqual((error as? Fault)?.kind, .cannotWrite, path)
          XCTAssertEqual((error as? Fault)?.place, path)
          XCTAssertEqual((error as? Fault)?.remedy, remedy, path)
        }
      }
    }
    for (reason, remedy) in [(ENOSPC, "free space"), (EROFS, "check the permissions")] {
      errno = reason
      let fault = cannotWrite("a")
      XCTAssertEqual(fault.remedy, remedy)
      XCTAssertEqual(fault.what, "cannot write: \(String(cString: strerror(reason)))")
    }
  }

  func testNothingIsLeftWhereAFileCannotTakeItsPlace() throws {
    let folder = NSTemporaryDirectory() + "cannot-write-\(UUID().uuidString)"
    try makeFolder(folder + "/taken")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    XCTAssertThrowsError(try writeDurably("x", to: folder + "/taken"))
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder), ["taken"])
  }

  /// What an earlier call left in `errno` is no reason.
  func testTheReasonIsOfThisFailure() throws {
    let folder = NSTemporaryDirectory() + "cannot-write-\(UUID().uuidString)"
    try makeFolder(folder + "/a/b/")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try makeFolder(folder + "/a")
    try writeDurably("x", to: folder + "/file")
    for stale in [0, ENOTTY] {
      errno = stale
      XCTAssertThrowsError(try readFile(folder)) { error in
        XCTAssertEqual((error as? Fault)?.kind, .inputOutput)
        XCTAssertEqual((error as? Fault)?.what, "cannot read: it is a folder, not a file")
      }
      errno = stale
      XCTAssertThrowsError(try makeFolder(folder + "/file")) { error in
        XCTAssertEqual((error as? Fault)?.kind, .cannotWrite)
        XCTAssertEqual((error as? Fault)?.what, "cannot make the folder: a file of that name is there")
      }
      errno = stale
      XCTAssertThrowsError(try makeFolder(folder + "/file/a/b")) { error in
        XCTAssertEqual((error as? Fault)?.what, "cannot make the folder: '\(folder)/file' is a file")
        XCTAssertEqual((error as? Fault)?.place, folder + "/file/a/b")
      }
      errno = stale
      XCTAssertThrowsError(try makeFolder("/proc/none/a")) { error in
        XCTAssertEqual((error as? Fault)?.what, "cannot make the folder: No such file or directory")
      }
    }
  }
}
