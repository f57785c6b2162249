import Foundation
import Ground
import SafeTensors
import Tensors
import XCTest

/// Files that lie, or are broken, end in one fault that names the file.
final class HostileFileTests: FolderTestCase {
  private func assertRefused(
    _ bytes: [UInt8], _ words: String, _ kind: Fault.Kind = .badData, line: UInt = #line
  ) throws {
    let path = try place(bytes)
    let problem = try fault(line: line) { try SafeTensorsFile(path) }
    XCTAssertEqual(problem.kind, kind, line: line)
    XCTAssertEqual(problem.place, path, line: line)
    XCTAssertTrue(problem.what.contains(words), problem.what, line: line)
    XCTAssertLessThan(problem.what.utf8.count, 10_000, line: line)
  }

  private func member(_ name: String, _ shape: String, _ range: String, dtype: String = "U8") -> String {
    "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":\(range)}"
  }

  func testLengths() throws {
    try assertRefused([], "empty")
    try assertRefused([1, 2, 3], "too few")
    try assertRefused([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "claims 18446744073709551615")
    try assertRefused([0, 0, 0, 0, 0, 0, 0, 0x80, 0x7B], "claims 9223372036854775808")
    try assertRefused([0x01, 0xE1, 0xF5, 0x05, 0, 0, 0, 0], "the limit is 100000000")
    try assertRefused([0x00, 0xE1, 0xF5, 0x05, 0, 0, 0, 0], "only 0 follow")
    try assertRefused([3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D], "only 2 follow")
    try assertRefused([0, 0, 0, 0, 0, 0, 0, 0], "'{'")
    try assertRefused(Array("version https://git-lfs.github.com/spec/v1\n".utf8), "Git LFS")
  }

  func testEveryTruncation() throws {
    let whole = safeTensors(
      "{\(member("a", "[2]", "[0,8]", dtype: "F32")),\(member("b", "[2]", "[8,10]"))}", dataCount: 10)
    XCTAssertEqual(try SafeTensorsFile(place(whole)).entries.count, 2)
    for length in 0..<whole.count {
      let path = try place(Array(whole[..<length]))
      XCTAssertEqual(try fault { try SafeTensorsFile(path) }.kind, .badData, "\(length)")
    }
    try assertRefused(whole + [0], "1 bytes follow the last tensor")
  }

  func testNotJSON() throws {
    for (header, words) in [
      ("[]", "'{'"), ("{\"a\"}", "':'"), ("{\"a\":1}", "'{'"), ("{}{}", "text after the end"), ("{", "'\"'"),
      ("{\"a", "does not end"), ("{\"\\", "does not end"), ("{\"\\x\":", "unknown escape"), ("{\"a\nb\":", "control"),
      ("{\"\\u12\"", "four hexadecimal"), ("{\"\\ud83d\":", "surrogate"), ("{\"\\udc00\":", "surrogate"),
      ("{\"\\ud83dx", "surrogate"), ("{,}", "'\"'"), ("{\(member("a", "[0]", "[0,0]")),}", "'\"'"),
    ] { try assertRefused(safeTensors(header), words) }
    try assertRefused([4, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x22, 0xFF, 0x22], "not UTF-8")
    try assertRefused(safeTensors(String(repeating: "[", count: 100_000)), "'{'")
    try assertRefused(safeTensors(String(repeating: "{\"a\":", count: 100_000)), "unknown or repeated key")
  }

  func testNumbers() throws {
    for number in ["-1", "1.0", "1e0", "01", "\"1\"", "null", "-", "9223372036854775808", "18446744073709551616"] {
      let path = try place(safeTensors("{\(member("a", "[\(number)]", "[0,1]"))}", dataCount: 1))
      XCTAssertEqual(try fault { try SafeTensorsFile(path) }.kind, .badData)
    }
  }

  func testRepeatedKeys() throws {
    let empty = member("a", "[0]", "[0,0]")
    try assertRefused(safeTensors("{\(empty),\(empty)}"), "'a' stands twice")
    try assertRefused(safeTensors("{\(empty),\(member("\\u0061", "[0]", "[0,0]"))}"), "'a' stands twice")
    try assertRefused(safeTensors("{\"__metadata__\":{},\"__metadata__\":{}}"), "stands twice")
    try assertRefused(safeTensors("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}"), "'k' stands twice")
    try assertRefused(safeTensors("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}"), "repeated key 'dtype'")
  }

  func testMembers() throws {
    try assertRefused(safeTensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}"), "needs a dtype")
    try assertRefused(safeTensors("{\(member("a", "[0]", "[0]"))}"), "two data_offsets")
    try assertRefused(safeTensors("{\(member("a", "[0]", "[0,0,0]"))}"), "two data_offsets")
    try assertRefused(safeTensors("{\"a\":{\"device\":\"cuda\"}}"), "'device'")
    try assertRefused(safeTensors("{\"__metadata__\":{\"k\":1}}"), "'\"'")
  }

  func testUnknownDTypesAreNamed() throws {
    for dtype in ["F8_E4M3", "F8_E5M2", "U64", "C64", "f32", ""] {
      try assertRefused(safeTensors("{\(member("weight", "[1]", "[0,1]", dtype: dtype))}", dataCount: 1), "'\(dtype)'")
    }
  }

  func testRanges() throws {
    func refused(_ entries: [String], _ dataCount: Int, _ words: String, line: UInt = #line) throws {
      try assertRefused(safeTensors("{\(entries.joined(separator: ","))}", dataCount: dataCount), words, line: line)
    }
    try refused([member("a", "[4]", "[0,4]")], 3, "but the data has 3")
    try refused([member("a", "[4]", "[4,0]")], 4, "claims bytes 4 to 0")
    try refused([member("a", "[4]", "[9223372036854775803,9223372036854775807]")], 4, "but the data has 4")
    try refused([member("a", "[4]", "[0,4]", dtype: "F32")], 4, "16 bytes, but has 4")
    try refused([member("a", "[]", "[0,0]", dtype: "F32")], 0, "4 bytes, but has 0")
    try refused([member("a", "[4]", "[0,4]"), member("b", "[4]", "[2,6]")], 6, "'b' overlaps")
    try refused([member("a", "[4]", "[0,4]"), member("b", "[4]", "[0,4]")], 4, "overlaps")
    try refused([member("a", "[2]", "[0,2]"), member("b", "[2]", "[3,5]")], 5, "a hole of 1 bytes before tensor 'b'")
    try refused([member("a", "[2]", "[1,3]")], 3, "a hole of 1 bytes")
    try refused([member("a", "[2]", "[0,2]")], 5, "3 bytes follow")
    try refused([], 1, "1 bytes follow")
  }

  func testShapesThatOverflow() throws {
    for shape in [
      "[9223372036854775807,2]", "[4294967296,4294967296]", "[4294967296,4294967296,0]",
      "[0,9223372036854775807,9223372036854775807]",
    ] { try assertRefused(safeTensors("{\(member("a", shape, "[0,0]", dtype: "F32"))}"), "impossible shape") }
    let deep = "[\(Array(repeating: "1", count: 65).joined(separator: ","))]"
    try assertRefused(safeTensors("{\(member("a", deep, "[0,1]"))}", dataCount: 1), "more than 64 dimensions")
    let long = String(repeating: "n", count: 1_000_000)
    try assertRefused(safeTensors("{\(member(long, "[1]", "[0,1]"))}", dataCount: 1), "longer than 4096")
    try assertRefused(safeTensors("{\(member("a", "[1]", "[0,1]", dtype: long))}", dataCount: 1), "not supported")
  }

  func testLegalOddities() throws {
    // Any order in the header, space anywhere, empty tensors, unaligned values.
    let header =
      "{ \"b\" : { \"data_offsets\" : [ 1 , 5 ] , \"shape\" : [ ] , \"dtype\" : \"F32\" } ,\n"
      + member("a", "[1]", "[0,1]") + "," + member("e", "[0,7]", "[1,1]") + "}\t\r\n "
    let file = try SafeTensorsFile(place(safeTensors(header, dataCount: 5)))
    XCTAssertEqual(Array(file.entries.keys), ["b", "a", "e"])
    XCTAssertEqual(try file.bytes(of: "b").count, 4)
    XCTAssertEqual(try file.bytes(of: "e").count, 0)
  }

  func testWhatIsNotAFile() throws {
    XCTAssertEqual(try fault { try SafeTensorsFile("\(folder)/none") }.kind, .missingInput)
    XCTAssertEqual(try fault { try SafeTensorsFile(folder) }.kind, .badData)
    let pipe = "\(folder)/pipe"
    XCTAssertEqual(mkfifo(pipe, 0o600), 0)
    XCTAssertTrue(try fault { try SafeTensorsFile(pipe) }.what.contains("regular"))
  }

  func testFlippedBitsNeverCrash() throws {
    let whole = safeTensors(
      "{\(member("a", "[2]", "[0,8]", dtype: "F32")),\(member("b", "[2]", "[8,10]"))}", dataCount: 10)
    var refused = 0
    for position in 0..<whole.count - 10 {
      for bit in 0..<8 {
        var bytes = whole
        bytes[position] ^= 1 << UInt8(bit)
        let path = try place(bytes)
        do {
          let file = try SafeTensorsFile(path)
          for name in file.entries.keys { _ = try file.bytes(of: name).reduce(0) { $0 &+ Int($1) } }
        } catch let problem as Fault {
          XCTAssertEqual(problem.kind, .badData)
          refused += 1
        }
      }
    }
    XCTAssertGreaterThan(refused, whole.count * 6)
  }
}
