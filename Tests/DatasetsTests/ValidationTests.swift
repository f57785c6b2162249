import Foundation
import Ground
import XCTest

@testable import Datasets

final class ValidationTests: XCTestCase {
  private func line(_ number: Int, image: String) -> String {
    #"{"id": \#(number), "image": "\#(image)", "conversations": [{"from": "human", "value": "<image>"}, "#
      + #"{"from": "gpt", "value": "a"}]}"#
  }

  private func set(_ folder: TemporaryFolder, records: Int, bad: [Int: String]) throws -> RecordSet {
    try folder.write("not empty", to: "images/good.png")
    try folder.write("", to: "images/empty.png")
    try folder.write("x", to: "images/folder/x")
    let lines = (0..<records).map { line($0, image: bad[$0] ?? "good.png") }
    let half = records / 2
    let first = try folder.write(lines[..<half].joined(separator: "\n"), to: "a.jsonl")
    let second = try folder.write("[" + lines[half...].joined(separator: ",\n") + "]", to: "b.json")
    return RecordSet(
      try [first, second].map { try RecordSource(path: $0, images: folder.path + "/images") })
  }

  func testAllWell() throws {
    let folder = try TemporaryFolder()
    let set = try set(folder, records: 300, bad: [:])
    XCTAssertEqual(set.count, 300)
    XCTAssertEqual(try set.record(299).index, 299)
    XCTAssertEqual(try set.record(150).place, folder.path + "/b.json:1")
    try set.validateAll(threads: 3)
  }

  func testTheFirstFaultInOrderWhateverTheThreads() throws {
    let folder = try TemporaryFolder()
    let set = try set(folder, records: 1000, bad: [333: "none.png", 334: "../x", 700: "empty.png", 999: "folder"])
    for threads in [1, 2, 5] {
      let fault = try thrownFault { try set.validateAll(threads: threads) }
      XCTAssertEqual(fault.kind, .missingInput)
      XCTAssertEqual(fault.what, "missing image file '\(folder.path)/images/none.png'")
      XCTAssertEqual(fault.place, "\(folder.path)/a.jsonl:334")
      let all = set.faults(in: 0..<1000, most: .max, threads: threads)
      XCTAssertEqual(all.map(\.index), [333, 334, 700, 999])
      XCTAssertEqual(set.faults(in: 0..<1000, most: 2, threads: threads).map(\.index), [333, 334])
      XCTAssertEqual(set.faults(in: 335..<1000, threads: threads).map(\.index), [700])
      XCTAssertEqual(all[2].fault.what, "the image '\(folder.path)/images/empty.png' is an empty file")
      XCTAssertEqual(all[3].fault.what, "the image '\(folder.path)/images/folder' is not a file")
    }
  }

  func testRanksShareTheWork() throws {
    let folder = try TemporaryFolder()
    let set = try set(folder, records: 100, bad: [10: "none.png", 60: "none.png"])
    let firsts = (0..<3).compactMap { set.faults(in: share(of: 100, rank: $0, of: 3)).first?.index }
    XCTAssertEqual(firsts, [10, 60])
  }

  func testAlsoCheckIsAskedOfGoodRecordsOnly() throws {
    let folder = try TemporaryFolder()
    let set = try set(folder, records: 10, bad: [3: "none.png"])
    let faults = set.faults(in: 0..<10, most: .max) { record in
      if record.index >= 2 && record.index <= 4 { throw Fault(.badData, "mine", "none") }
    }
    XCTAssertEqual(faults.map(\.index), [2, 3, 4])
    XCTAssertEqual(faults.map(\.fault.kind), [.badData, .missingInput, .badData])
  }
}
