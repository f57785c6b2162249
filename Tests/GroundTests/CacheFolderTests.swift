import Foundation
import Ground
import XCTest

final class CacheFolderTests: XCTestCase {
  private var folder = ""

  override func setUpWithError() throws {
    folder = NSTemporaryDirectory() + "cache-\(UUID().uuidString)"
  }

  override func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

  private func fill(_ cache: CacheFolder, _ name: String, _ count: Int, usedAt time: Int) throws {
    let file = try cache.make(name) { try writeDurably(Data(count: count), to: $0) }
    var times = [timespec(tv_sec: time, tv_nsec: 0), timespec(tv_sec: time, tv_nsec: 0)]
    XCTAssertEqual(utimensat(AT_FDCWD, file, &times, 0), 0)
  }

  func testFilesUsedLongestAgoMakeRoom() throws {
    let cache = CacheFolder(folder, limit: 3 * 4096)
    try fill(cache, "a/one", 4096, usedAt: 100)
    try fill(cache, "a/two", 4096, usedAt: 200)
    try fill(cache, "b/three", 4096, usedAt: 300)
    XCTAssertNotNil(cache.existing("a/one"), "using it makes it the youngest")
    XCTAssertTrue(cache.makeRoom(for: 8192, keeping: ["b/three"]))
    XCTAssertNil(cache.existing("a/two"))
    XCTAssertNil(cache.existing("a/one"))
    XCTAssertNotNil(cache.existing("b/three"))
    XCTAssertFalse(cache.makeRoom(for: 3 * 4096, keeping: ["b/three"]))
  }

  func testAFileThatFailsLeavesNothing() throws {
    let cache = CacheFolder(folder, limit: 1 << 20)
    XCTAssertThrowsError(
      try cache.make("x/half") { path in
        try writeDurably(Data(count: 10), to: path)
        throw Fault(.cannotWrite, "full", "free space")
      })
    XCTAssertNil(cache.existing("x/half"))
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder + "/x"), [])
  }

  func testTheStandardPlace() {
    XCTAssertEqual(CacheFolder.standardPath(["MMDIST_CACHE": "/scratch/c", "HOME": "/h"]), "/scratch/c")
    XCTAssertEqual(CacheFolder.standardPath(["XDG_CACHE_HOME": "/x", "HOME": "/h"]), "/x/mmdist")
    XCTAssertEqual(CacheFolder.standardPath(["XDG_CACHE_HOME": "relative", "HOME": "/h"]), "/h/.cache/mmdist")
  }
}
