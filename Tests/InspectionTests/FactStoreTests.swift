import Foundation
import Ground
import XCTest

@testable import Inspection

final class FactStoreTests: XCTestCase {
  private var folder = CacheFolder("", limit: 0)

  override func setUpWithError() throws {
    folder = CacheFolder(NSTemporaryDirectory() + "facts-\(UUID().uuidString)", limit: 1 << 20)
  }
  override func tearDownWithError() throws { try? FileManager.default.removeItem(atPath: folder.path) }

  private func key(_ number: Int) -> Digest { Digest(of: Array("key \(number)".utf8)) }
  private func files() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".facts") }
  }

  func testWhatIsKeptIsFoundAgain() throws {
    let store = FactStore(folder, settings: "a")
    for number in 0..<100 { store.keep(key(number), [UInt8(number), 1]) }
    XCTAssertEqual(store.find(key(7)), [7, 1])
    store.flush()
    store.flush()
    XCTAssertEqual(try files().count, 1)
    let later = FactStore(folder, settings: "a")
    XCTAssertEqual((0..<100).map { later.find(key($0)) }, (0..<100).map { [UInt8($0), 1] })
    XCTAssertNil(later.find(key(100)))
    XCTAssertEqual(later.foundCount, 100)
    XCTAssertNil(FactStore(folder, settings: "b").find(key(1)), "other settings, other facts")
  }

  func testManyFilesBecomeOne() throws {
    for number in 0..<9 {
      let store = FactStore(folder, settings: "a")
      store.keep(key(number), [UInt8(number)])
      store.flush()
    }
    XCTAssertEqual(try files().count, 9)
    FactStore(folder, settings: "a").join()
    XCTAssertEqual(try files().count, 1)
    let store = FactStore(folder, settings: "a")
    XCTAssertEqual((0..<9).map { store.find(key($0)) }, (0..<9).map { [UInt8($0)] })
  }

  func testDamagedFilesAreLeftOut() throws {
    let store = FactStore(folder, settings: "a")
    for number in 0..<5 { store.keep(key(number), [1, 2, 3]) }
    store.flush()
    let path = try folder.path + "/" + XCTUnwrap(files().first)
    let whole = [UInt8](try readFile(path))
    XCTAssertEqual(FactStore.facts(in: whole)?.count, 5)
    for length in 0..<whole.count { XCTAssertNil(FactStore.facts(in: Array(whole.prefix(length))), "\(length)") }
    for place in stride(from: 0, to: whole.count, by: 3) {
      var damaged = whole
      damaged[place] ^= 0x40
      XCTAssertNil(FactStore.facts(in: damaged), "byte \(place)")
    }
    try Data(whole.dropLast()).write(to: URL(fileURLWithPath: path))
    XCTAssertNil(FactStore(folder, settings: "a").find(key(1)))
  }

  func testAFolderThatCannotBeWrittenIsNoFault() {
    let store = FactStore(CacheFolder("/proc/none", limit: 1), settings: "a")
    store.keep(key(1), [1])
    store.flush()
    store.join()
    XCTAssertEqual(store.find(key(1)), [1])
  }

  func testFactsOfRecordsTravelWhole() {
    var facts = RecordFacts()
    facts.findings = [
      Finding(.tinyImage, at: "a b:c.jsonl:12", record: 3, "é", "do"), Finding(.shortcut, at: "x", record: nil, "m"),
    ]
    (facts.tokens, facts.trained, facts.imageCount, facts.isSynthetic, facts.isRead) = (9, 4, 2, true, true)
    facts.pictures = [
      PictureFacts(digest: Digest(high: 1, low: 2), width: 3, height: 4, hash: [5, 6, 7, 8], isBlank: true, path: 9)
    ]
    facts.asked = [RecordFacts.Asked(words: [1, 2], opening: [2, 1], question: 4, answer: "left")]
    (facts.said, facts.bands, facts.groups) = (Digest(high: 8, low: 9), [1, 2, 3], ["a", ""])
    var writer = PackWriter()
    facts.write(to: &writer)
    var reader = PackReader(writer.bytes)
    XCTAssertEqual(RecordFacts(&reader), facts)
    XCTAssertTrue(reader.isAtEnd)
    XCTAssertEqual(facts.findings[0].file, "a b:c.jsonl")
    XCTAssertEqual(facts.findings[0].line, 12)
    for length in 0..<writer.bytes.count {
      var reader = PackReader(Array(writer.bytes.prefix(length)))
      XCTAssertNil(RecordFacts(&reader), "\(length)")
    }
  }
}
