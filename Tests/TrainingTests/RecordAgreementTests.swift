import Datasets
import Foundation
import Ground
import Parallel
import RunFile
import TestSupport
import XCTest

@testable import Training

/// Ranks that see other records under the same name.
final class RecordAgreementTests: FolderTests {
  /// Opens on each of three ranks the copy of a file or folder that it has: `host-0/NAME`, `host-1/NAME`, ….
  private func open(_ name: String) throws {
    let folder = folder
    _ = try InProcessCommunicator.run(3) { communicator in
      let path = "\(folder)/host-\(communicator.rank)/\(name)"
      try OpenData(
        [DataSource(path: path, images: folder)], at: "data.train", reading: isFolder(path) ? .picture : .text,
        cache: CacheFolder(folder + "/cache", limit: 1 << 20)
      ).requireSame(on: communicator)
    }
  }

  private func assertDiffers(
    _ name: String, _ says: String, file: StaticString = #filePath, line: UInt = #line
  ) {
    XCTAssertThrowsError(try open(name), file: file, line: line) { error in
      let fault = error as? Fault
      XCTAssertEqual(fault?.kind, .inputOutput, "\(error)", file: file, line: line)
      XCTAssertTrue(fault?.what.hasPrefix("rank 1 on ") ?? false, "\(error)", file: file, line: line)
      XCTAssertTrue(fault?.what.contains(says) ?? false, "\(error)", file: file, line: line)
      XCTAssertTrue(fault?.place?.hasSuffix(name) ?? false, "\(error)", file: file, line: line)
    }
  }

  private static let line =
    #"{"conversations": [{"from": "human", "value": "a?"}, {"from": "gpt", "value": "b"}]}"# + "\n"

  func testCopiesOnSeveralHostsAreTheSame() throws {
    for host in 0..<3 {
      let path = try place(String(repeating: RecordAgreementTests.line, count: 5), "host-\(host)/a.jsonl")
      let time = Date(timeIntervalSince1970: 1e9 + Double(host))
      try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: path)
      for name in ["cat/1.png", "cat/2.png", "dog/1.jpg"] { try place("of \(host)", "host-\(host)/classes/\(name)") }
    }
    XCTAssertNoThrow(try open("a.jsonl"))
    XCTAssertNoThrow(try open("classes"))
  }

  func testOtherNumbersOfRecordsAreTold() throws {
    for host in 0..<3 {
      try place(String(repeating: RecordAgreementTests.line, count: host == 1 ? 4 : 5), "host-\(host)/a.jsonl")
      for name in ["cat/1.png", "cat/2.png"] + (host == 1 ? ["cat/3.png"] : []) {
        try place("", "host-\(host)/classes/\(name)")
      }
    }
    assertDiffers("a.jsonl", "sees 4 records, rank 0 on ")
    assertDiffers("classes", "sees 3 records, rank 0 on ")
  }

  /// As many records, but others: a file of another size, pictures of other names.
  func testOtherFilesAreTold() throws {
    for host in 0..<3 {
      let line = RecordAgreementTests.line
      try place(line + (host == 1 ? line.replacingOccurrences(of: "a?", with: "aa?") : line), "host-\(host)/a.jsonl")
      for name in ["cat/1.png", host == 1 ? "dog/2.png" : "cat/2.png"] { try place("", "host-\(host)/classes/\(name)") }
    }
    assertDiffers("a.jsonl", "sees other files than rank 0 on ")
    assertDiffers("classes", "sees other files than rank 0 on ")
  }
}
