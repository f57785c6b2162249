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
    try cache.make(name) { try writeDurably(Data(count: count), to: $0) }
    let file = "\(cache.path)/\(name)"
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

  /// Files that are held, those that somebody is writing, and locks stay; what was left half-written goes.
  func testWhatIsInUseStays() throws {
    let cache = CacheFolder(folder, limit: 1)
    try fill(cache, "held", 4096, usedAt: 100)
    let descriptor = open(folder + "/held", O_RDONLY)
    XCTAssertEqual(flock(descriptor, LOCK_SH), 0)
    let now = Int(Date().timeIntervalSince1970)
    try fill(cache, "young.writing", 4096, usedAt: now - 60)
    try fill(cache, "old.writing", 4096, usedAt: now - 2 * 3600)
    try fill(cache, "x.lock", 4096, usedAt: 100)
    XCTAssertFalse(cache.makeRoom(for: 0))
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    XCTAssertEqual(try names(), ["held", "x.lock", "young.writing"])
    close(descriptor)
    XCTAssertFalse(cache.makeRoom(for: 0))
    XCTAssertEqual(try names(), ["x.lock", "young.writing"])
  }

  /// Commands that do not know how large the folder may be remove no more than they add.
  func testOthersMayHaveLetTheFolderGrow() throws {
    let run = CacheFolder(folder, limit: 3 * 4096)
    for time in 1...3 { try fill(run, "\(time)", 4096, usedAt: time) }
    let command = CacheFolder(folder, limit: 4096, leavesFilesBeyondLimit: true)
    XCTAssertTrue(command.makeRoom(for: 0))
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder).sorted(), ["1", "2", "3"])
    XCTAssertTrue(command.makeRoom(for: 4096))
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder).sorted(), ["2", "3"])
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
