import Foundation
import Ground
import TestSupport
import XCTest

@testable import Training

/// Lines of `metrics.jsonl`, over crashes and resumes.
final class MetricsLogTests: FolderTests {
  private var path: String { folder + "/metrics.jsonl" }

  private func report(_ step: Int, loss: Double = 0.1 + 0.2) -> StepReport {
    StepReport(
      step: step, loss: loss, losses: ["cross_entropy": loss], supervisedTokens: 7, tokens: 70, images: 2,
      gradientNorm: 1.0 / 3, gradientNorms: ["language": 1.0 / 3], learningRates: ["language": 2e-4], seconds: 0.25,
      dataSeconds: 0, communicationSeconds: 1e-7, exposedSeconds: .leastNonzeroMagnitude, bytesSent: 1 << 40,
      peakMemory: 1 << 31)
  }

  private func write(_ steps: ClosedRange<Int>) throws -> Data {
    let log = try MetricsLog(path, after: steps.lowerBound - 1)
    for step in steps { try log.append(report(step)) }
    return try readFile(path)
  }

  private func steps(_ data: Data) throws -> [Int] {
    try String(decoding: data, as: UTF8.self).split(separator: "\n").map {
      try XCTUnwrap(JSON(parsing: String($0), at: "line")["step"]?.integer)
    }
  }

  func testOneLineAStepAppended() throws {
    XCTAssertEqual(try steps(write(1...3)), [1, 2, 3])
    let before = try readFile(path)
    let after = try write(4...5)
    XCTAssertEqual(try steps(after), [1, 2, 3, 4, 5])
    XCTAssertEqual(after.prefix(before.count), before)
    XCTAssertEqual(after.last, UInt8(ascii: "\n"))
  }

  func testLinesOfLaterStepsAreCutAndEarlierBytesStay() throws {
    let five = try write(1...5)
    let lines = five.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    _ = try MetricsLog(path, after: 3)
    XCTAssertEqual(try readFile(path), five.prefix(lines.prefix(3).reduce(0) { $0 + $1.count + 1 }))
    XCTAssertEqual(try steps(write(4...4)), [1, 2, 3, 4])
    _ = try MetricsLog(path, after: 0)
    XCTAssertEqual(try readFile(path), Data())
  }

  func testATornLastLineIsCut() throws {
    let two = try write(1...2)
    let third = Array((report(3).json.description + "\n").utf8)
    for torn in 1..<third.count {
      try (two + Data(third.prefix(torn))).write(to: URL(fileURLWithPath: path))
      _ = try MetricsLog(path, after: 9)
      XCTAssertEqual(try readFile(path), two, "torn after \(torn) bytes")
    }
    try (two + Data(third)).write(to: URL(fileURLWithPath: path))
    _ = try MetricsLog(path, after: 9)
    XCTAssertEqual(try steps(readFile(path)), [1, 2, 3], "a whole line is not torn")
  }

  func testALineThatCannotBeReadCostsNoneOfAnEarlierStep() throws {
    let two = try write(1...2)
    for damage in ["\n", "not json\n", "{}\n", "{\"step\": \"3\"}\n", "\u{0}\u{0}\u{0}\n", "[3]\n"] {
      let third = Data((damage + report(3).json.description + "\n").utf8)
      try (two + third + Data(damage.utf8)).write(to: URL(fileURLWithPath: path))
      XCTAssertNil(try MetricsLog(path, after: 3).warning)
      XCTAssertEqual(try readFile(path), two + third, "what follows the last step is cut: \(damage)")
      XCTAssertNil(try MetricsLog(path, after: 2).warning)
      XCTAssertEqual(try readFile(path), two, damage)
    }
    try Data([0xFF, 0xFE, 0x0A]).write(to: URL(fileURLWithPath: path))
    XCTAssertEqual(try steps(write(1...1)), [1])
  }

  func testAFileWithoutTheLineOfTheStepIsCopiedBeforeItIsCut() throws {
    let five = try write(1...5)
    let lines = five.split(separator: UInt8(ascii: "\n")).map { $0 + [UInt8(ascii: "\n")] }
    let holed = Data((lines[..<2] + lines[3...]).joined())
    for number in 1...2 {
      try holed.write(to: URL(fileURLWithPath: path))
      let copy = "\(path).earlier-\(number)"
      XCTAssertEqual(
        try MetricsLog(path, after: 3).warning,
        "warning: \(path) has no line of step 3; as it was, it is now \(copy)")
      XCTAssertEqual(try steps(readFile(path)), [1, 2])
      XCTAssertEqual(try readFile(copy), holed)
    }
    XCTAssertEqual(try MetricsLog(path, after: 3).warning, "warning: \(path) has no line of step 3", "nothing is cut")
    XCTAssertNil(try MetricsLog(folder + "/new.jsonl", after: 3).warning, "there was no file")
  }

  func testLinesThatDoNotReachTheDiskAreAFault() throws {
    let log = try MetricsLog(path, after: 0)
    try log.append(report(1))
    try log.sync()
    // In the log's place something that has no disk.
    var ends: [Int32] = [0, 0]
    XCTAssertEqual(pipe(&ends), 0)
    defer { ends.forEach { close($0) } }
    XCTAssertEqual(dup2(ends[1], log.descriptor), log.descriptor)
    let problem = try fault { try log.sync() }
    XCTAssertEqual(problem.kind, .cannotWrite)
    XCTAssertEqual(problem.place, path)
  }

  func testAFolderInItsPlace() throws {
    try makeFolder(path)
    XCTAssertEqual(try fault { try MetricsLog(path, after: 0) }.kind, .cannotWrite)
    XCTAssertEqual(try fault { try MetricsLog(folder + "/none/metrics.jsonl", after: 0) }.kind, .cannotWrite)
  }

  // MARK: A line

  /// Reading a line gives back the same bits of every number.
  func testFloatsAreReadBackToTheSameBits() throws {
    let awkward: [Double] = [
      0, -0.0, 0.1, 0.1 + 0.2, 1.0 / 3, 2.0 / 3, 1e-300, .leastNonzeroMagnitude, .leastNormalMagnitude,
      Double.leastNormalMagnitude.nextDown, 1e22, 1e23, 9_007_199_254_740_992, .greatestFiniteMagnitude,
      Double(Float(0.1)), 1.0.nextUp, 1.0.nextDown, 123456789.123456789,
      -7.25, .pi,
    ]
    let stream = (0..<200).map { Double(bitPattern: UInt64($0) &* 0x9E37_79B9_7F4A_7C15 >> 2) }
    for value in awkward + stream.filter(\.isFinite) {
      var report = report(1, loss: value)
      report.gradientNorms = ["language": value]
      report.learningRates = ["vision": value]
      report.communicationSeconds = value
      let json = try JSON(parsing: report.json.description, at: "line")
      for found in [
        json["loss"], json["losses"]?["cross_entropy"], json["grad_norms"]?["language"],
        json["learning_rates"]?["vision"], json["communication"]?["total_s"],
      ] { XCTAssertEqual(found?.double?.bitPattern, value.bitPattern, "\(value) became \(String(describing: found))") }
    }
  }

  func testALineHasTheDocumentedKeys() throws {
    let json = try JSON(parsing: report(12).json.description, at: "line")
    let keys = [
      "step", "loss", "losses", "supervised_tokens", "tokens", "images", "grad_norm", "grad_norms", "learning_rates",
      "seconds", "tokens_per_second", "data_wait_s", "communication", "peak_memory_bytes",
      "work_imbalance",
    ]
    XCTAssertEqual(json.object?.keys.elements, keys)
    XCTAssertEqual(json["communication"]?.object?.keys.elements, ["total_s", "exposed_s", "skew_s", "bytes"])
    XCTAssertEqual(json["step"], 12)
    XCTAssertEqual(json["tokens_per_second"]?.double, 280)
    XCTAssertEqual(json["communication"]?["bytes"], .integer(1 << 40))
    XCTAssertFalse(report(12).json.description.contains("\n"))
  }

  func testARateWithoutTimeIsZero() {
    var report = report(1)
    report.seconds = 0
    XCTAssertEqual(report.tokensPerSecond, 0)
  }

  /// Tokens that no model reads make no speed.
  func testAStepOnKeptFeaturesHasNoTokensPerSecond() {
    var report = report(1)
    report.keepsStates = true
    XCTAssertNil(report.json["tokens_per_second"])
    XCTAssertNotNil(report.json["tokens"])
  }
}
