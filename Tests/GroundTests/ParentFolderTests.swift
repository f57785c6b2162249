import Ground
import XCTest

final class ParentFolderTests: XCTestCase {
  func testParentFolders() {
    for (path, folder) in [
      ("a/b", "a"), ("a/b/", "a"), ("a/b//", "a"), ("b", ""), ("r.json", ""), ("", ""), ("/", "/"), ("/b", "/"),
      ("/b/", "/"), ("/a/b", "/a"), ("./b", "."), ("../b", ".."), ("a//b", "a/"), ("ä/ö", "ä"),
    ] { XCTAssertEqual(parentFolder(of: path), folder, path) }
  }
}
