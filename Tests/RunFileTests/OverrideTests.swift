import Ground
import XCTest

@testable import RunFile

final class OverrideTests: XCTestCase {
  func testSetsTakePrecedenceInOrder() throws {
    let run = try parsed(
      "train: {seed: 1, steps: 5}",
      sets: [
        "train.seed=2", "train.seed=3", "train.clip_norm=5e-1", "train.parts.language.targets=[q_proj]", "adapter=",
      ])
    XCTAssertEqual(run.train.seed, 3)
    XCTAssertEqual(run.train.steps, 5)
    XCTAssertEqual(run.train.clipNorm, 0.5)
    XCTAssertEqual(run.train.parts.language.targets, .names(["q_proj"]))
    XCTAssertNil(run.adapter)
  }

  func testSectionsAndListEntriesAreMade() throws {
    let run = try parsed(
      "data: {train: [{path: /a}]}\ntrain:\n",
      sets: [
        "data.train.0.weight=2", "data.train.1={path: /b}", "data.validation.0.path=/v", "checkpoint.every=0",
        "train.objective.contrastive.weight=3",
      ])
    XCTAssertEqual(run.data.train.map(\.path), ["/a", "/b"])
    XCTAssertEqual(run.data.train.map(\.weight), [2, 1])
    XCTAssertEqual(run.data.validation.map(\.path), ["/v"])
    XCTAssertEqual(run.checkpoint.every, 0)
    XCTAssertEqual(run.train.objective.contrastive?.weight, 3)
  }

  func testFaultsNameTheSet() throws {
    try assertFault(
      "", sets: ["train.steeps=5"], says: "unknown key 'train.steeps'; did you mean 'steps'?", at: "--set train.steeps")
    try assertFault(
      "", sets: ["trian.steps=5"], says: "unknown key 'trian'; did you mean 'train'?", at: "--set trian.steps")
    try assertFault("", sets: ["train.steps=many"], says: "wants an integer, found 'many'", at: "--set train.steps")
    try assertFault("", sets: ["train={sed: 1}"], says: "'train.sed'; did you mean 'seed'?", at: "--set train")
    try assertFault(
      "data: {train: []}", sets: ["data.train.1.path=x"], says: "no entry '1' in 'data.train'",
      at: "--set data.train.1.path")
    try assertFault(
      "data: {train: []}", sets: ["data.train.path=x"], says: "no entry 'path' in 'data.train'",
      at: "--set data.train.path")
    try assertFault(
      "train: {seed: 1}", sets: ["train.seed.x=1"], says: "unknown key 'train.seed.x'", at: "--set train.seed.x")
    try assertFault("", sets: ["data.train.-1.path=x"], says: "no entry '-1'", at: "--set data.train.-1.path")
    try assertFault("", sets: ["train.seed=[1"], says: "not valid YAML", at: "--set train.seed")
  }

  func testMalformedSetsAreUsageErrors() throws {
    for argument in ["train.seed", "=5", "train..seed=1", ".=1", "", String(repeating: "a.", count: 10_000) + "b=1"] {
      XCTAssertThrowsError(try parsed("", sets: [argument]), argument) {
        XCTAssertEqual(($0 as? Fault)?.kind, .usage)
        XCTAssertEqual(($0 as? Fault)?.place, "--set")
      }
    }
  }

  func testAValueMayHoldEqualsSigns() throws {
    XCTAssertEqual(try parsed("", sets: ["model=/a=b"]).model, "/a=b")
  }
}
