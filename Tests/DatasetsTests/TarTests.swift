import Foundation
import Ground
import TestSupport
import XCTest

@testable import Datasets

final class TarTests: XCTestCase {
  /// An archive made by the system's `tar`.
  private func archive(_ folder: TemporaryFolder, format: String, _ names: [String]) throws -> String {
    for name in names { try folder.write("content of \(name)", to: "in/" + name) }
    let path = folder.path + "/\(format).tar"
    let tar = Process()
    tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    tar.arguments = ["tar", "--format=\(format)", "-C", folder.path + "/in", "-cf", path] + names
    try tar.run()
    tar.waitUntilExit()
    XCTAssertEqual(tar.terminationStatus, 0)
    return path
  }

  func testFormatsAndLongNames() throws {
    let folder = try TemporaryFolder()
    let long = String(repeating: "long-folder/", count: 20) + String(repeating: "n", count: 120)
    let names = ["a/0001.txt", "a/0001.seg.png", long + ".txt", "z.cls"]
    for format in ["ustar", "pax", "gnu"] {
      let used = format == "ustar" ? [names[0], names[1], names[3]] : names
      let path = try archive(folder, format: format, used)
      let file = try TarRecords(OpenFile(path))
      XCTAssertEqual(file.count, used.count - 1, format)
      let first = try file.record(0)
      XCTAssertEqual(first.json["text"], "content of a/0001.txt")
      XCTAssertEqual(first.json["__key__"], "a/0001")
      XCTAssertEqual(try first.attachments[0].read(), Data("content of a/0001.seg.png".utf8))
      XCTAssertEqual(first.attachments[0].name, "\(path), member a/0001.seg.png")
      XCTAssertEqual(file.place(of: 0), "\(path), member a/0001")
      if format != "ustar" { XCTAssertEqual(try file.record(1).json["__key__"], .string(long)) }
      XCTAssertEqual(try file.record(file.count - 1).json["label"], "content of z.cls")
    }
  }

  func testTheIndexOfALargeArchiveIsKept() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/large.tar"
    let padding = String(repeating: "x", count: RecordIndexCache.smallestFile)
    try tar([("a/é.txt", "one"), ("pad.bin", padding), ("b.txt", "two")]).write(to: URL(fileURLWithPath: path))
    let cache = CacheFolder(folder.path + "/cache", limit: 1 << 20)
    func texts() throws -> [JSON?] {
      let file = try TarRecords(OpenFile(path), cache: cache)
      return try (0..<file.count).map { try file.record($0).json["text"] }
    }
    let wanted: [JSON?] = ["one", nil, "two"]
    XCTAssertEqual(try texts(), wanted)
    if FileIdentity(path)?.isSettled() == false {
      XCTAssertFalse(isFolder(cache.path + "/indexes"), "it may still change unseen")
    }
    try letSettle(path)
    XCTAssertEqual(try texts(), wanted)
    let indexes = cache.path + "/indexes"
    let kept = try FileManager.default.contentsOfDirectory(atPath: indexes).filter { !$0.hasSuffix(".lock") }
    XCTAssertEqual(kept.count, 1)
    // What is kept is used: here an index of other bytes, under a checksum of its own.
    var other = try TarIndex.kept([("a/é.txt", 512, 3), ("b.txt", 512, 2)])
    other.append(contentsOf: other.withUnsafeBytes(Checksum.digits).utf8)
    try other.write(to: URL(fileURLWithPath: "\(indexes)/\(kept[0])"))
    XCTAssertEqual(try texts(), ["one", "on"])
    // A damaged one is made again.
    try Data("damaged, and long enough for a checksum".utf8).write(to: URL(fileURLWithPath: "\(indexes)/\(kept[0])"))
    XCTAssertEqual(try texts(), wanted)
    for bytes in [[UInt8](repeating: 0xFF, count: 24), [UInt8](repeating: 0, count: 23), [1]] {
      XCTAssertNil(bytes.withUnsafeBytes { TarIndex(stored: $0) })
    }
  }

  private let sound = tar([("a.json", #"{"x": 1}"#), ("a.png", "picture"), (".hidden", "no"), ("b.txt", "words")])

  private func open(_ bytes: Data) throws -> TarRecords {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a.tar"
    try bytes.write(to: URL(fileURLWithPath: path))
    return try TarRecords(OpenFile(path, named: "a.tar"))
  }

  func testHostileArchives() throws {
    XCTAssertEqual(try open(sound).count, 2)
    // Without the two blocks of zeros at the end, too.
    XCTAssertEqual(try open(sound.dropLast(1024)).count, 2)
    XCTAssertTrue(try thrownFault { _ = try open(sound.prefix(600)) }.what.contains("cut short"))
    XCTAssertTrue(try thrownFault { _ = try open(sound.prefix(515)) }.what.contains("cut short"))
    var big = Data(sound)
    big.replaceSubrange(124..<136, with: [0x80, 0, 0, 0, 0x3F] + [UInt8](repeating: 0xFF, count: 7))
    XCTAssertTrue(try thrownFault { _ = try open(resealed(big)) }.what.contains("cut short"))
    big.replaceSubrange(124..<136, with: [UInt8](repeating: 0xFF, count: 12))
    XCTAssertEqual(try thrownFault { _ = try open(resealed(big)) }.what, "an entry without a size")
    XCTAssertEqual(
      try thrownFault { _ = try open(Data(repeating: 7, count: 2048)) }.what, "not a tar header: its checksum is wrong")
    XCTAssertEqual(try thrownFault { _ = try open(Data(count: 1024)) }.what, "no records")
    XCTAssertEqual(
      try thrownFault { _ = try open(tar([("a.txt", "x"), ("a.txt", "y")])).record(0) }.what, "two members 'a.txt'")
    let wrong = try thrownFault { _ = try open(tar([("a.json", "{")])).record(0) }
    XCTAssertEqual(wrong.place, "a.tar, member a.json")
    // Names are only names: nothing is written anywhere.
    XCTAssertEqual(try open(tar([("../../../etc/a.txt", "x")])).record(0).json["text"], "x")
    for position in stride(from: 0, to: sound.count, by: 3) {
      var bytes = Data(sound)
      bytes[position] ^= 0xA5
      guard let file = try? open(bytes) else { continue }
      for number in 0..<file.count { _ = try? file.record(number) }
    }
  }

  func testBraces() throws {
    XCTAssertEqual(try BraceExpansion.names("a.tar"), ["a.tar"])
    XCTAssertEqual(try BraceExpansion.names("a-{08..11}.tar"), ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"])
    XCTAssertEqual(try BraceExpansion.names("{a,b}{1..2}"), ["a1", "a2", "b1", "b2"])
    for wrong in ["a{", "a{}", "a{1..}", "a{2..1}", "a{x..y}", "{0..99999999999}", "{0..999}{0..999}", "a{-1..2}"] {
      XCTAssertEqual(try thrownFault { _ = try BraceExpansion.names(wrong) }.kind, .badConfiguration, wrong)
    }
  }
}

/// The checksum of the first header made right.
private func resealed(_ archive: Data) -> Data {
  var bytes = [UInt8](archive)
  bytes.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
  let sum = String(bytes[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
  bytes.replaceSubrange(148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum + "\0 ").utf8))
  return Data(bytes)
}

/// A ustar archive.
private func tar(_ files: [(name: String, text: String)]) -> Data {
  files.reduce(Data()) { archive, file in
    var header = Data(count: 512)
    let size = String(file.text.utf8.count, radix: 8)
    for (text, offset) in [
      (file.name, 0), (String(repeating: "0", count: 11 - size.count) + size, 124), ("0", 156), ("ustar\u{0}00", 257),
    ] { header.replaceSubrange(offset..<offset + text.utf8.count, with: Data(text.utf8)) }
    let content = Data(file.text.utf8)
    return archive + resealed(header) + content + Data(count: (512 - content.count % 512) % 512)
  } + Data(count: 1024)
}

extension TarIndex {
  /// An index of these members as it is kept.
  fileprivate static func kept(_ members: [(name: String, offset: UInt64, count: Int)]) throws -> Data {
    var data = Data()
    for member in members {
      for number in [member.offset, UInt64(member.count), UInt64(member.name.utf8.count)] {
        withUnsafeBytes(of: number.littleEndian) { data.append(contentsOf: $0) }
      }
      data.append(contentsOf: member.name.utf8)
    }
    let index = try XCTUnwrap(data.withUnsafeBytes { TarIndex(stored: $0) })
    XCTAssertEqual(index.stored, data)
    return data
  }
}
