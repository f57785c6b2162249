import Features
import Foundation
import Ground
import XCTest

/// What is kept comes back as it was, and nothing else ever does.
final class FeatureStoreTests: XCTestCase {
  private var folder = ""
  private let space = String(repeating: "a", count: 32)
  private let count = 1000

  override func setUpWithError() throws { folder = NSTemporaryDirectory() + "features-\(UUID().uuidString)" }
  override func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

  private func store(memory: Int = 0, limit: Int = 1 << 30, space: String? = nil, onDisk: Bool = true) -> FeatureStore {
    FeatureStore(
      space: space ?? self.space, count: count, memory: memory,
      folder: onDisk ? CacheFolder(folder, limit: limit) : nil)
  }

  /// The digest and features of picture `number`.
  private func picture(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 32 - digits.count) + digits
  }
  private func features(_ number: Int) -> [Float] { (0..<count).map { Float($0) * 0.1 + Float(number) } }

  private func files() throws -> [String] {
    guard let names = FileManager.default.enumerator(atPath: folder) else { return [] }
    return names.compactMap { $0 as? String }.map { folder + "/" + $0 }.filter {
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted()
  }

  /// Features 0..<n on disk, in the order of their files.
  private func write(_ numbers: Range<Int>) throws -> [String] {
    let store = store()
    for number in numbers { store.keep(features(number), of: picture(number)) }
    store.finish()
    XCTAssertNil(store.takeTrouble())
    return try files()
  }

  func testMemoryAndDisk() throws {
    let inMemory = store(memory: 1 << 20, onDisk: false)
    XCTAssertNil(inMemory.find(picture(1)))
    inMemory.keep(features(1), of: picture(1))
    XCTAssertEqual(inMemory.find(picture(1)), features(1))
    XCTAssertEqual(try files(), [])

    XCTAssertEqual(try write(0..<3).count, 3)
    for memory in [0, 1 << 20] {
      let later = store(memory: memory)
      for number in [2, 0, 1, 1] { XCTAssertEqual(later.find(picture(number)), features(number)) }
      XCTAssertNil(later.find(picture(3)))
    }
  }

  func testOddNumbersKeepTheirBits() throws {
    var odd = features(0)
    odd[0] = .nan
    odd[1] = -.zero
    odd[2] = .leastNonzeroMagnitude
    odd[3] = Float(bitPattern: 0x7FA0_0001)  // a signalling NaN
    let writer = store()
    writer.keep(odd, of: picture(0))
    writer.finish()
    XCTAssertEqual(store().find(picture(0))?.map(\.bitPattern), odd.map(\.bitPattern))
  }

  func testMemoryIsBoundedAndKeepsWhatCameFirst() {
    let store = store(memory: 2 * count * 4 + 3, onDisk: false)
    for number in 0..<4 { store.keep(features(number), of: picture(number)) }
    store.keep(features(0), of: picture(0))
    XCTAssertEqual((0..<4).map { store.find(picture($0)) != nil }, [true, true, false, false])
  }

  func testAnotherSpaceHasNone() throws {
    _ = try write(0..<1)
    XCTAssertNil(store(space: String(repeating: "b", count: 32)).find(picture(0)))
  }

  // MARK: Damage

  func testDamageAnywhereIsFoundAndMended() throws {
    let path = try XCTUnwrap(try write(0..<1).first)
    let whole = try readFile(path)
    XCTAssertEqual(whole.count, 36 + 3 * 33 + 4 * count)
    var damaged: [Data] = [Data(), whole.dropLast(), whole + [0], whole.prefix(80), whole.dropFirst()]
    for place in [0, 20, 40, 90, 110, 133, 134, 135, 2000, whole.count - 1] {
      var changed = whole
      changed[place] ^= 0x10
      damaged.append(changed)
    }
    for content in damaged {
      try content.write(to: URL(fileURLWithPath: path))
      let store = store()
      XCTAssertNil(store.find(picture(0)), "\(content.count) bytes")
      store.keep(features(0), of: picture(0))
      store.finish()
      XCTAssertEqual(try readFile(path), whole)
    }
  }

  func testFilesInEachOthersPlacesAreNotTaken() throws {
    let paths = try write(0..<2)
    let (first, second) = (try readFile(paths[0]), try readFile(paths[1]))
    try first.write(to: URL(fileURLWithPath: paths[1]))
    try second.write(to: URL(fileURLWithPath: paths[0]))
    for number in 0..<2 { XCTAssertNil(store().find(picture(number))) }

    let other = String(repeating: "b", count: 32)
    let place = paths[0].replacing(space, with: other)
    try makeFolder((place as NSString).deletingLastPathComponent)
    try first.write(to: URL(fileURLWithPath: place))
    XCTAssertNil(store(space: other).find(picture(0)), "a file of another space")
  }

  func testOddThingsInAFilesPlace() throws {
    let path = try XCTUnwrap(try write(0..<1).first)
    unlink(path)
    XCTAssertEqual(mkfifo(path, 0o600), 0)
    XCTAssertNil(store().find(picture(0)), "a named pipe")
    unlink(path)
    try makeFolder(path)
    XCTAssertNil(store().find(picture(0)), "a folder")
    let store = store(memory: 1 << 20)
    store.keep(features(0), of: picture(0))
    store.finish()
    XCTAssertNotNil(store.takeTrouble(), "a folder cannot be replaced")
    XCTAssertEqual(store.find(picture(0)), features(0))
  }

  // MARK: No room

  func testAFolderThatCannotBeMade() throws {
    try "".write(toFile: folder, atomically: false, encoding: .utf8)
    let store = store(memory: 1 << 20)
    for number in 0..<3 { store.keep(features(number), of: picture(number)) }
    store.finish()
    XCTAssertTrue(try XCTUnwrap(store.takeTrouble()).contains(folder))
    XCTAssertNil(store.takeTrouble(), "told once")
    XCTAssertEqual(store.find(picture(2)), features(2))
  }

  func testTheLimitKeepsWhatThisRunWroteAndRemovesWhatIsOld() throws {
    let old = try write(0..<10)
    var times = [timespec(tv_sec: 100, tv_nsec: 0), timespec(tv_sec: 100, tv_nsec: 0)]
    for path in old { XCTAssertEqual(utimensat(AT_FDCWD, path, &times, 0), 0) }

    let size = 2 * 4096  // of a file, in blocks
    let store = store(limit: 12 * size)
    for number in 10..<40 { store.keep(features(number), of: picture(number)) }
    store.finish()
    XCTAssertTrue(try XCTUnwrap(store.takeTrouble()).contains("limit"))
    let left = try files()
    XCTAssertEqual(Set(left).intersection(old), [])
    XCTAssertTrue((8...12).contains(left.count), "\(left.count) files")
    XCTAssertEqual(store.find(picture(10)), features(10))
    XCTAssertNil(store.find(picture(39)))
  }

  // MARK: Threads

  func testManyThreadsAndStoresAtOnce() throws {
    let stores = [store(memory: 20 * count * 4), store()]
    nonisolated(unsafe) let test = self
    let wrong = UnsafeCounter()
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for turn in 0..<60 {
        let (store, number) = (stores[turn % 2], (turn * 7 + thread) % 40)
        if let found = store.find(test.picture(number)) {
          if found != test.features(number) { wrong.add() }
        } else {
          store.keep(test.features(number), of: test.picture(number))
        }
      }
    }
    for store in stores {
      store.finish()
      XCTAssertNil(store.takeTrouble())
    }
    XCTAssertEqual(wrong.count, 0)
    let later = store()
    for number in 0..<40 { XCTAssertEqual(later.find(picture(number)), features(number)) }
    XCTAssertEqual(try files().count, 40, "nothing half-written stays")
  }

  private final class UnsafeCounter: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var count = 0
    func add() { lock.withLock { count += 1 } }
  }
}

final class ProgramDigestTests: XCTestCase {
  func testTheCodeThatIsLoaded() throws {
    let program = try programDigest(libraries: [])
    XCTAssertEqual(program.count, 32)
    XCTAssertEqual(try programDigest(libraries: ["no such library"]), program)
    let withC = try programDigest(libraries: ["libc."])
    XCTAssertEqual(withC.count, 65)
    XCTAssertTrue(withC.hasPrefix(program))
    XCTAssertEqual(try programDigest(libraries: ["libc."]), withC)
  }
}
