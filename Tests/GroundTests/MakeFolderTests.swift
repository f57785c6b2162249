import Foundation
import Ground
import XCTest

/// Ranks make the same folders at the same moment; all of them find the folder there afterwards.
final class MakeFolderTests: XCTestCase {
  private let root = NSTemporaryDirectory() + "make-folder-\(UUID().uuidString)"

  override func tearDownWithError() throws { try FileManager.default.removeItem(atPath: root) }

  /// Who is behind finds folders there, is faster for that, and catches up: the makers meet again and again.
  func testSeveralMakersAtTheSameTime() {
    DispatchQueue.concurrentPerform(iterations: 2) { [root] _ in
      do {
        for number in 0..<5000 { try makeFolder("\(root)/\(number)/data") }
      } catch {
        XCTFail("\(error)")
      }
    }
  }
}
