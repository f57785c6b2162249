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
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool, "-q", "-k", "-f", path]
    try process.run()
    process.waitUntilExit()
    return path + ending
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

      let unpacked = try UnpackedFile(cache: cache)(path)
      XCTAssertEqual(try readFile(unpacked), Data(text.utf8))
      let before = try XCTUnwrap(FileIdentity(unpacked)).inode
      XCTAssertEqual(try UnpackedFile(cache: cache)(path), unpacked)
      XCTAssertEqual(FileIdentity(unpacked)?.inode, before, "it is made once")

      // A damaged copy is made anew.
      try Data("x".utf8).write(to: URL(fileURLWithPath: unpacked))
      XCTAssertEqual(try readFile(UnpackedFile(cache: cache)(path)), Data(text.utf8))

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
    XCTAssertEqual(try RecordFile(path: path, cache: cache).count, 4000)
    let indexes = folder.path + "/cache/indexes/"
    let names = try FileManager.default.contentsOfDirectory(atPath: indexes).filter { !$0.hasSuffix(".lock") }
    XCTAssertEqual(names.count, 1)
    XCTAssertEqual(FileIdentity(indexes + names[0])?.byteCount, 16 * 4000 + 32)
    let again = try RecordFile(path: path, cache: cache)
    XCTAssertEqual(again.count, 4000)
    XCTAssertEqual(again.place(of: 3999), "\(path):4000")
    XCTAssertEqual(try again.record(3999).json["conversations"]?.array?.count, 1)
    // A damaged index is not believed.
    var bytes = try readFile(indexes + names[0])
    bytes[100] ^= 1
    try bytes.write(to: URL(fileURLWithPath: indexes + names[0]))
    XCTAssertEqual(try RecordFile(path: path, cache: cache).count, 4000)
    XCTAssertNotEqual(try readFile(indexes + names[0]), bytes)
  }
}
