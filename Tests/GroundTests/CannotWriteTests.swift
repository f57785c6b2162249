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
}
