import Compression
import Foundation
import Ground
import TestSupport
import XCTest

@testable import Datasets

final class UnpackedFileTests: XCTestCase {
  private let text = (0..<5000).map { #"{"conversations": [{"from": "gpt", "value": "\#($0)"}]}"# + "\n" }.joined()

  private func packed(_ folder: TemporaryFolder, with tool: String, _ ending: String) throws -> String {
    let path = try folder.write(text, to: "a.jsonl")
    try run([tool, "-q", "-k", "-f", path])
    return path + ending
  }

  private func run(_ words: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    try process.run()
    process.waitUntilExit()
    XCTAssertEqual(process.terminationStatus, 0)
  }

  func testGzipAndZstd() throws {
    for (tool, ending) in [("gzip", ".gz"), ("zstd", ".zst")] {
      let folder = try TemporaryFolder()
      let cache = CacheFolder(folder.path + "/cache", limit: 1 << 30)
      let path = try packed(folder, with: tool, ending)
      let file = try DataFile(path, cache: cache)
      let source = try RecordSource(file, images: folder.path, format: "auto")
      XCTAssertEqual(source.count, 5000)
      XCTAssertEqual(try source.record(4999).turns, [Turn(.assistant, "4999")])
      XCTAssertEqual(try source.record(6).place, "\(path):7")

      func unpacked() throws -> OpenFile {
        let file = try UnpackedFile(cache: cache)(path)
        XCTAssertEqual(try file.read(at: 0, count: Int(file.byteCount)), Data(text.utf8))
        return file
      }
      let first = try unpacked()
      XCTAssertEqual(first.name, path)
      XCTAssertEqual(try unpacked(), first, "it is made once")

      // A damaged copy is made anew.
      let copy = try cache.path + "/data/" + XCTUnwrap(first.content)
      try Data("x".utf8).write(to: URL(fileURLWithPath: copy))
      XCTAssertNotEqual(try unpacked(), first)

      let whole = try readFile(path)
      for (damaged, what) in [(whole.dropLast(5), "cut"), (whole.prefix(40) + Data(count: 99), "zeros")] {
        let other = folder.path + "/\(what).jsonl" + ending
        try damaged.write(to: URL(fileURLWithPath: other))
        let fault = try thrownFault { _ = try DataFile(other, cache: cache) }
        XCTAssertEqual(fault.kind, .badData)
        XCTAssertTrue(fault.what.contains("cannot be unpacked"), fault.what)
        XCTAssertEqual(fault.place, other)
      }
      let small = CacheFolder(folder.path + "/small", limit: 1000)
      let bomb = try thrownFault { _ = try DataFile(path, cache: small) }
      XCTAssertTrue(bomb.what.contains("more than the 1000 bytes"), bomb.what)
    }
  }

  /// The archive is removed from the cache where it does not hold it, and its pictures are still there.
  func testPicturesOfAnUnpackedArchiveStay() throws {
    let folder = try TemporaryFolder()
    let cache = CacheFolder(folder.path + "/cache", limit: 1 << 20)
    try folder.write("caption", to: "in/1.txt")
    try folder.write("not a picture, and nobody looks", to: "in/1.png")
    try run(["tar", "-C", folder.path + "/in", "-czf", folder.path + "/a.tar.gz", "1.txt", "1.png"])
    func files() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: cache.path + "/data").filter { $0.count == 32 }
    }
    do {
      let data = try DataFile(folder.path + "/a.tar.gz", cache: cache)
      let picture = try XCTUnwrap(data.records.record(0).attachments.first)
      XCTAssertEqual(picture.name, "\(folder.path)/a.tar.gz, member 1.png")
      let old = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
      XCTAssertEqual(utimensat(AT_FDCWD, try cache.path + "/data/" + XCTUnwrap(files().first), old, 0), 0)
      CacheFolder(cache.path, limit: 0).makeRoom(for: 0)
      XCTAssertEqual(try files().count, 1, "held")
      try FileManager.default.removeItem(atPath: cache.path)
      XCTAssertEqual(try picture.read(), Data("not a picture, and nobody looks".utf8))
      _ = try DataFile(folder.path + "/a.tar.gz", cache: cache)
    }
    XCTAssertEqual(try files().count, 1)
    CacheFolder(cache.path, limit: 0).makeRoom(for: 0)
    XCTAssertEqual(try files(), [], "nobody holds it any more")
  }

  func testAFileThatChangesWhileItIsUnpackedIsRefused() throws {
    let folder = try TemporaryFolder()
    let cache = CacheFolder(folder.path + "/cache", limit: 1 << 30)
    let path = try packed(folder, with: "gzip", ".gz")
    let fault = try thrownFault {
      _ = try UnpackedFile(cache: cache).unpack(OpenFile(path), String(repeating: "0", count: 32), to: path + ".out")
    }
    XCTAssertEqual(fault.kind, .inputOutput)
    XCTAssertEqual(fault.what, "the file changes while it is read")
    XCTAssertEqual(fault.place, path)
  }

  func testTheIndexOfAnUnpackedFileIsFoundAgain() throws {
    let folder = try TemporaryFolder()
    let cache = CacheFolder(folder.path + "/cache", limit: 1 << 30)
    let line = #"{"conversations": [{"from": "gpt", "value": ""# + String(repeating: "x", count: 9000) + #""}]}"# + "\n"
    let path = try folder.write(String(repeating: line, count: 4000), to: "large.jsonl")
    try run(["zstd", "-q", path])
    func indexes() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: cache.path + "/indexes").filter { !$0.hasSuffix(".lock") }
    }
    XCTAssertEqual(try DataFile(path + ".zst", cache: cache).records.count, 4000)
    let first = try indexes()
    XCTAssertEqual(first.count, 1)
    let made = FileIdentity(cache.path + "/indexes/" + first[0])?.inode
    XCTAssertEqual(try DataFile(path + ".zst", cache: cache).records.count, 4000)
    XCTAssertEqual(try indexes(), first)
    XCTAssertEqual(FileIdentity(cache.path + "/indexes/" + first[0])?.inode, made, "it is not made again")
  }

  func testSnappy() throws {
    // A literal of 4 bytes, a copy of 8 from 4 back that overlaps itself, and a copy with a two-byte offset.
    let stream: [UInt8] = [14, 3 << 2, 97, 98, 99, 100, 4 << 2 | 1, 4, 1 << 2 | 2, 12, 0]
    XCTAssertEqual(
      try stream.withUnsafeBytes { try Snappy.decompress($0, count: 14) }, Array("abcdabcdabcdab".utf8))
    for length in 0..<stream.count {
      XCTAssertThrowsError(try stream[..<length].withUnsafeBytes { try Snappy.decompress($0, count: 14) })
    }
    for position in stream.indices {
      for value in UInt8.min...UInt8.max {
        var other = stream
        other[position] = value
        _ = try? other.withUnsafeBytes { try Snappy.decompress($0, count: 14) }
      }
    }
  }

  func testTheIndexOfALargeFileIsKept() throws {
    let folder = try TemporaryFolder()
    let cache = CacheFolder(folder.path + "/cache", limit: 1 << 30)
    let line = #"{"conversations": [{"from": "gpt", "value": ""# + String(repeating: "x", count: 9000) + #""}]}"# + "\n"
    let path = try folder.write(String(repeating: line, count: 4000), to: "large.jsonl")
    try letSettle(path)
    XCTAssertEqual(try RecordFile(OpenFile(path), cache: cache).count, 4000)
    let indexes = folder.path + "/cache/indexes/"
    let names = try FileManager.default.contentsOfDirectory(atPath: indexes).filter { !$0.hasSuffix(".lock") }
    XCTAssertEqual(names.count, 1)
    XCTAssertEqual(FileIdentity(indexes + names[0])?.byteCount, 16 * 4000 + 32)
    let again = try RecordFile(OpenFile(path), cache: cache)
    XCTAssertEqual(again.count, 4000)
    XCTAssertEqual(again.place(of: 3999), "\(path):4000")
    XCTAssertEqual(try again.record(3999).json["conversations"]?.array?.count, 1)
    // A damaged index is not believed.
    var bytes = try readFile(indexes + names[0])
    bytes[100] ^= 1
    try bytes.write(to: URL(fileURLWithPath: indexes + names[0]))
    XCTAssertEqual(try RecordFile(OpenFile(path), cache: cache).count, 4000)
    XCTAssertNotEqual(try readFile(indexes + names[0]), bytes)
  }
}
