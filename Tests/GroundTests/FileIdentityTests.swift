import Foundation
import Ground
import XCTest

final class FileIdentityTests: XCTestCase {
  private var file = ""

  override func setUpWithError() throws {
    file = NSTemporaryDirectory() + "identity-\(UUID().uuidString)"
    try Data("first".utf8).write(to: URL(fileURLWithPath: file))
  }

  override func tearDown() { unlink(file) }

  func testAChangeShowsWhenSizeAndTimeOfModificationArePutBack() throws {
    let before = try XCTUnwrap(FileIdentity(file))
    XCTAssertEqual(FileIdentity(file), before)
    usleep(50_000)  // the file system's clock ticks
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
    try handle.write(contentsOf: Data("other".utf8))
    try handle.close()
    let time = timespec(tv_sec: before.modified / 1_000_000_000, tv_nsec: before.modified % 1_000_000_000)
    XCTAssertEqual(utimensat(AT_FDCWD, file, [time, time], 0), 0)
    let after = try XCTUnwrap(FileIdentity(file))
    XCTAssertEqual(after.modified, before.modified)
    XCTAssertEqual(after.byteCount, before.byteCount)
    XCTAssertEqual(after.inode, before.inode)
    XCTAssertNotEqual(after, before)
  }

  func testAFileIsSettledTwoSecondsAfterItsLastChange() throws {
    let identity = try XCTUnwrap(FileIdentity(file))
    let changed = Date(timeIntervalSince1970: Double(identity.changed) * 1e-9)
    XCTAssertFalse(identity.isSettled(at: changed))
    XCTAssertFalse(identity.isSettled(at: changed + 1.9))
    XCTAssertTrue(identity.isSettled(at: changed + 2.1))
    XCTAssertFalse(identity.isSettled(at: changed - 100), "a server's clock may be ahead")
  }

  func testNoFileHasNoIdentity() { XCTAssertNil(FileIdentity(file + ".none")) }
}
