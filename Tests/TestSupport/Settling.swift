import Foundation
import Ground
import XCTest

/// Waits until a file, or every file below a folder, counts as left alone (``FileIdentity/isSettled(at:)``): two seconds
/// after the last change, and longer where the clock is set back meanwhile.
public func letSettle(_ path: String) throws {
  let clock = ContinuousClock()
  let end = clock.now + .seconds(30)
  let below = try isFolder(path) ? FileManager.default.subpathsOfDirectory(atPath: path) : []
  for file in [path] + below.map({ "\(path)/\($0)" }) {
    while try !XCTUnwrap(FileIdentity(file), file).isSettled() {
      guard clock.now < end else { return XCTFail("\(file) does not settle") }
      usleep(20_000)
    }
  }
}
