import XCTest
@testable import Media
final class SmokeTests: XCTestCase { func testNothing() {} }
