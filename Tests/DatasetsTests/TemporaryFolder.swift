import Foundation
import Ground
import XCTest

/// A folder for one test's files, removed with the object.
final class TemporaryFolder {
  let path = NSTemporaryDirectory() + "datasets-" + UUID().uuidString

  init() throws { try makeFolder(path) }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes `text` to the file `name`, whose folders are made, and gives its path.
  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    let file = path + "/" + name
    try makeFolder((file as NSString).deletingLastPathComponent)
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    return file
  }
}

/// The fault that `body` throws; anything else fails the test.
func thrownFault(
  file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Void
) throws -> Fault {
  do {
    try body()
  } catch let fault as Fault {
    return fault
  }
  XCTFail("nothing was thrown", file: file, line: line)
  throw CancellationError()
}
