import Foundation
import Ground
import Parallel
import XCTest

/// A folder that all ranks know and that is gone afterwards.
final class ScratchFolderTests: XCTestCase {
  /// Two hosts that share the place where temporary files go: one of their leaders fills it.
  func testOneRankFillsAFolderThatHostsShare() throws {
    let found = try InProcessCommunicator.run(6, nodeSize: 2) { communicator in
      try communicator.withScratchFolder("mmdist-test") { folder, isOwn in
        try communicator.agreeOnSuccess { if isOwn { try writeDurably("filled", to: folder + "/file") } }
        return (folder: folder, isOwn: isOwn, text: String(decoding: try readFile(folder + "/file"), as: UTF8.self))
      }
    }
    XCTAssertEqual(Set(found.map(\.folder)).count, 1)
    XCTAssertEqual(found.count(where: \.isOwn), 1)
    XCTAssertTrue(found.indices.allSatisfy { !found[$0].isOwn || $0 % 2 == 0 }, "a host's first rank")
    XCTAssertEqual(found.map(\.text), [String](repeating: "filled", count: 6))
    XCTAssertFalse(FileManager.default.fileExists(atPath: found[0].folder))
  }

  func testItGoesAlsoWhereTheWorkFails() throws {
    let path = Path()
    XCTAssertThrowsError(
      try InProcessCommunicator.run(2) { communicator in
        try communicator.agreeOnSuccess {
          try communicator.withScratchFolder("mmdist-test") { folder, isOwn in
            if isOwn { path.set(folder) }
            throw Fault(.badData, "no", "nothing")
          }
        }
      }
    ) { XCTAssertEqual(($0 as? Fault)?.kind, .badData) }
    XCTAssertTrue(path.text.contains("mmdist-test-"), path.text)
    XCTAssertFalse(FileManager.default.fileExists(atPath: path.text))
  }

  private final class Path: @unchecked Sendable {
    private(set) var text = ""
    func set(_ text: String) { self.text = text }
  }
}
