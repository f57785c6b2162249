import Foundation
import Ground
import XCTest

@testable import Media

/// The pictures beside this file and what the reference makes of them.
enum Fixtures {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

  static func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
  static func bytes(_ name: String) throws -> [UInt8] { Array(try readFile(path(name))) }
  static func picture(_ name: String) throws -> Picture { try Picture(contentsOf: path(name)) }

  /// One of the lists in expected.json; it must not be empty.
  static func expected(_ list: String) throws -> [JSON] {
    let cases = try XCTUnwrap(JSON(contentsOf: path("expected.json"))[list]?.array)
    XCTAssertGreaterThan(cases.count, 50)
    return cases
  }
}

/// FNV-1a, 64 bits, in hexadecimal.
func sum(_ bytes: some Sequence<UInt8>) -> String {
  var value: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

extension Picture {
  init(decoding bytes: [UInt8]) throws {
    self = try bytes.withUnsafeBytes { try Picture(decoding: $0, at: "here") }
  }

  /// Smooth waves with some noise, the same each time.
  static func scene(width: Int, height: Int) -> Picture {
    var state: UInt64 = 1
    return Picture(width: width, height: height) { target in
      for index in target.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let wave = 128 + 100 * sin(Double(index) / 37)
        target[index] = UInt8(wave) &+ UInt8(state >> 60)
      }
    }
  }
}

/// The fault that `body` throws.
func fault(_ body: () throws -> some Any, file: StaticString = #filePath, line: UInt = #line) -> Fault? {
  do {
    _ = try body()
    XCTFail("nothing was thrown", file: file, line: line)
  } catch let fault as Fault {
    return fault
  } catch {
    XCTFail("not a Fault: \(error)", file: file, line: line)
  }
  return nil
}
