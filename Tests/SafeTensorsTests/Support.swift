import Foundation
import Ground
import XCTest

/// A test case with a folder of its own, which is empty before each test and gone after it.
class FolderTestCase: XCTestCase {
  private(set) var folder = ""

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.path + "/safetensors-" + UUID().uuidString
    try makeFolder(folder)
  }

  override func tearDownWithError() throws { try FileManager.default.removeItem(atPath: folder) }

  /// Writes a file into the folder and returns its path. The old one is removed first: file systems flush what is
  /// written over an old file, which takes milliseconds.
  func place(_ bytes: [UInt8], _ name: String = "file.safetensors") throws -> String {
    unlink("\(folder)/\(name)")
    try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    return "\(folder)/\(name)"
  }

  /// The fault that `body` throws; fails when there is none.
  func fault<Result>(
    file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Result
  ) throws -> Fault {
    do {
      _ = try body()
    } catch let fault as Fault {
      XCTAssertNotNil(fault.place, "the fault names no place: \(fault)", file: file, line: line)
      return fault
    }
    XCTFail("no fault", file: file, line: line)
    throw CancellationError()
  }
}

/// The bytes of a safetensors file with this header and `dataCount` bytes of data.
func safeTensors(_ header: String, dataCount: Int = 0) -> [UInt8] {
  withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
    + [UInt8](repeating: 7, count: dataCount)
}

/// What the script that made the fixtures put into a tensor: byte i is (start + 7 i) mod 251.
func pattern(_ count: Int, start: Int) -> [UInt8] { (0..<count).map { UInt8((start + 7 * $0) % 251) } }
