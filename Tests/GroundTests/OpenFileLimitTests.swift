import Foundation
import Ground
import XCTest

final class OpenFileLimitTests: XCTestCase {
  func testAsManyFilesAsTheSystemAllows() throws {
    var before = rlimit()
    XCTAssertEqual(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before), 0)
    defer { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before) }
    var low = before
    low.rlim_cur = min(512, before.rlim_max - 1)
    XCTAssertEqual(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &low), 0)
    raiseOpenFileLimit()
    var now = rlimit()
    XCTAssertEqual(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &now), 0)
    XCTAssertEqual(now.rlim_cur, before.rlim_max)
  }
}
