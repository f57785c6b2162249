import Foundation
import Ground
import XCTest

/// A folder takes the place of another, and one of the two is there whatever happens meanwhile.
final class ReplacedFolderTests: XCTestCase {
  private let path = NSTemporaryDirectory() + "replaced-\(UUID().uuidString)/own"

  override func tearDownWithError() throws { try FileManager.default.removeItem(atPath: parentFolder(of: path)) }

  private func make(_ path: String, _ text: String) throws {
    try makeFolder(path)
    try writeDurably(text, to: path + "/file")
  }

  private func text(_ path: String) throws -> String { String(decoding: try readFile(path + "/file"), as: UTF8.self) }

  func testTheFormerOneGoes() throws {
    try make(path, "old")
    try make(path + ".replaced", "older")
    try make(path + ".writing", "new")
    try replaceFolder(path, with: path + ".writing")
    XCTAssertEqual(try text(path), "new")
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: parentFolder(of: path)), ["own"])
  }

  /// The program ended when the former one had been moved and the new one was not there: it stays until that is.
  func testAFormerOneStaysAsLongAsThereIsNoOther() throws {
    try make(path + ".replaced", "old")
    XCTAssertThrowsError(try replaceFolder(path, with: path + ".nothing"))
    XCTAssertEqual(try text(path + ".replaced"), "old")
    try make(path + ".writing", "new")
    try replaceFolder(path, with: path + ".writing")
    XCTAssertEqual(try text(path), "new")
    XCTAssertFalse(FileManager.default.fileExists(atPath: path + ".replaced"))
  }
}
