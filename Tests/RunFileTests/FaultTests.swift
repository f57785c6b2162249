import Foundation
import Ground
import XCTest

@testable import RunFile

final class FaultTests: XCTestCase {
  func testUnknownKeysNameTheNearest() throws {
    XCTAssertThrowsError(try parsed("model: m\ntrain:\n  seed: 1\n  steeps: 5\n")) {
      XCTAssertEqual(
        $0 as? Fault,
        Fault(
          .badConfiguration, "unknown key 'train.steeps'; did you mean 'steps'?", at: "run.yaml:4",
          "correct or remove the key"))
    }
    try assertFault("modle: x", says: "unknown key 'modle'; did you mean 'model'?", at: "run.yaml:1")
    try assertFault(
      "data: {train: [{path: a, imges: b}]}", says: "'data.train.0.imges'; did you mean 'images'?", at: "run.yaml:1")
    try assertFault("\n\nqqqqqqqqqq: 1", says: "unknown key 'qqqqqqqqqq'", at: "run.yaml:3")
  }

  func testKeysOfOtherPlacesAndOtherTrainers() throws {
    try assertFault(
      "gradient_checkpointing: true", says: "; did you mean 'train.recompute'?", at: "run.yaml:1")
    try assertFault("train: {max_length: 5}", says: "; did you mean 'data.max_length'?", at: "run.yaml:1")
    try assertFault(
      "train: {learning_rate: 1}", says: "'train.parts.vision.learning_rate' or 'train.parts.projector.learning_rate'",
      at: "run.yaml:1")
  }

  func testWrongTypes() throws {
    try assertFault("train:\n  seed: [1]", says: "'train.seed' wants an integer, found a list", at: "run.yaml:2")
    try assertFault("train: 5", says: "'train' wants a section of keys, found the number 5", at: "run.yaml:1")
    try assertFault("- 1", says: "'run file' wants a section of keys, found a list", at: "run.yaml:1")
    try assertFault(
      "data:\n  train:\n    path: x", says: "'data.train' wants a list, found a section", at: "run.yaml:3")
    try assertFault("train: {seed: }", says: "'train.seed' wants an integer, found nothing", at: "run.yaml:1")
    try assertFault(
      "train: {precision: bfloat}", says: "wants float32 | bfloat16, found 'bfloat'; did you mean 'bfloat16'?",
      at: "run.yaml:1")
    try assertFault(
      "train: {parts: {language: {train: Lora}}}", says: "did you mean 'lora'?", at: "run.yaml:1")
    let long = String(repeating: "x", count: 10_000)
    try assertFault("train: {seed: \(long)}", says: "...'", at: "run.yaml:1")
  }

  func testYAMLThatIsNone() throws {
    try assertFault("model: [a\n", says: "not valid YAML", at: "run.yaml:2")
    try assertFault("a: 1\n b: 2", says: "not valid YAML", at: "run.yaml:2")
    try assertFault("model: a\n\tb: c", says: "not valid YAML", at: "run.yaml:2")
    try assertFault("model: a\n---\nmodel: b", says: "another document", at: "run.yaml:2")
    try assertFault("model: *x", says: "undefined alias", at: "run.yaml:1")
    try assertFault("model: a\nx: \u{1}", says: "not valid YAML: control characters are not allowed", at: "run.yaml:2")
    try assertFault("{[a]: b}", says: "a key that is not a name", at: "run.yaml:1")
    try assertFault("<<: 5", says: "'<<' merges", at: "run.yaml:1")
  }

  func testDuplicateKeys() throws {
    try assertFault("model: a\ntrain: {seed: 1}\nmodel: b", says: "key 'model' stands twice", at: "run.yaml:1")
    try assertFault("model: a\n'model': b", says: "key 'model' stands twice", at: "run.yaml:1")
    try assertFault("train:\n  seed: 1\n  seed: 1", says: "key 'seed' stands twice", at: "run.yaml:2")
  }

  func testHostileFilesEndSoon() throws {
    let start = Date()
    let levels = "abcdefghijklmnopqrstuvwx".map(String.init)
    var bomb = "a: &a [x, x]\n"
    for (below, level) in zip(levels, levels.dropFirst()) { bomb += "\(level): &\(level) [*\(below), *\(below)]\n" }
    try assertFault(bomb, says: "too many YAML aliases (*name): 46", at: "run.yaml")

    var keys = "a: &a [\(String(repeating: "x, ", count: 40_000))]\n"
    for (below, level) in zip(levels, levels.dropFirst()).prefix(2) {
      keys += "\(level): &\(level) [*\(below),*\(below),*\(below)]\n"
    }
    try assertFault(keys, says: "too many values", at: "run.yaml:1")
    try assertFault(keys + "? *c\n: 1\n? *c\n: 2\n", says: "stands twice", at: "run.yaml:3")

    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
      let nested = String(repeating: open, count: 900) + "1" + String(repeating: close, count: 900)
      try assertFault(
        "x: \(open == "- " ? "\n" : "")" + nested, says: "nested too deep",
        at: open == "- " ? "run.yaml:2" : "run.yaml:1")
      try assertFault(String(repeating: open, count: 100_000), says: "not valid YAML", at: "run.yaml:1")
    }
    try assertFault(String(repeating: "#", count: 2_000_000), says: "too long", at: "run.yaml")
    let many = (0..<60_000).map { "k\($0): 1\n" }.joined()
    try assertFault(many, says: "unknown key 'k0'", at: "run.yaml:1")
    XCTAssertLessThan(Date().timeIntervalSince(start), 10)
  }

  func testEveryTruncationOfAFileIsReadOrRefused() throws {
    let path = try XCTUnwrap(Bundle.module.path(forResource: "Fixtures/contract", ofType: "yaml"))
    let text = try String(contentsOfFile: path, encoding: .utf8)
    var refused = 0
    for length in 0..<text.count {
      do { _ = try parsed(String(text.prefix(length))) } catch let fault as Fault {
        XCTAssertEqual(fault.kind, .badConfiguration)
        refused += 1
      }
    }
    XCTAssertGreaterThan(refused, 100)
  }
}
