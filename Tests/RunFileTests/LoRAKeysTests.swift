import Ground
import XCTest

@testable import RunFile

/// The keys of LoRA's variants.
final class LoRAKeysTests: XCTestCase {
  private let good = "model: m\ndata: {train: [{path: x}]}"

  private func language(_ row: String) throws -> PartConfiguration {
    try parsed(good + "\ntrain: {parts: {language: {train: lora, \(row)}}}").train.parts.language
  }

  func testWhatIsRead() throws {
    let row = try language(
      """
      rslora: true, dora: true, bias: lora_only, modules_to_save: [embed_tokens], exclude: [lm_head, "0.q_proj"],
      rank_pattern: {'layers\\.[01]\\..*': 4, q_proj: 8}, alpha_pattern: {v_proj: 2.5}, init: gaussian, layers: 0-3
      """)
    XCTAssertTrue(row.rslora && row.dora)
    XCTAssertEqual(row.bias, .wrapped)
    XCTAssertEqual(row.modulesToSave, ["embed_tokens"])
    XCTAssertEqual(row.exclude, .names(["lm_head", "0.q_proj"]))
    XCTAssertEqual(row.rankPattern.rows, [.init(#"layers\.[01]\..*"#, 4), .init("q_proj", 8)], "in this order")
    XCTAssertEqual(row.alphaPattern.rows, [.init("v_proj", 2.5)])
    XCTAssertEqual(row.`init`, .gaussian)
    for (text, start) in [
      ("default", .standard), ("pissa", .pissa(iterations: nil)), ("pissa_niter_16", .pissa(iterations: 16)),
      ("olora", .olora),
    ] as [(String, LoRAStart)] {
      XCTAssertEqual(try language("init: \(text)").`init`, start)
    }
  }

  func testWhatIsWrittenIsReadAsTheSame() throws {
    for row in [
      #"rank_pattern: {'layers\.[01]\..*': 4, 'a: b # c': 8, "1": 2}, alpha_pattern: {v_proj: 2.5}"#,
      "init: pissa_niter_4, exclude: '.*\\.(k|v)_proj', rslora: true",
      "dora: true, bias: all, modules_to_save: [a, b.c]",
    ] {
      let run = try parsed(good + "\ntrain: {neftune_alpha: 5, parts: {language: {train: lora, \(row)}}}")
      let again = try RunConfiguration(parsing: run.yaml)
      XCTAssertEqual(again.train, run.train, row)
      XCTAssertEqual(again.hash, run.hash)
      XCTAssertNotEqual(run.hash, try parsed(good).hash)
    }
    let one = try parsed(good + "\ntrain: {parts: {language: {rank_pattern: {q_proj: 4}}}}")
    let other = try parsed(good, sets: ["train.parts.language.rank_pattern={q_proj: 5}"])
    XCTAssertEqual(
      other.differences(from: one), ["train.parts.language.rank_pattern.q_proj was 4, is 5"])
  }

  func testWhatMakesNoSense() throws {
    let language = "train.parts.language."
    for (set, key) in [
      ("rank_pattern={q_proj: 0}", "rank_pattern"), ("alpha_pattern={q_proj: -1}", "alpha_pattern"),
      ("alpha_pattern={q_proj: .nan}", "alpha_pattern"), ("exclude=all-linear", "exclude"), ("exclude=[]", "exclude"),
      ("exclude=['']", "exclude"), ("modules_to_save=['']", "modules_to_save"),
    ] {
      try assertFault(good, sets: [language + set], says: "'\(language)\(key)' ", at: language + key)
    }
    try assertFault(
      good, sets: [language + "dora=true", language + "init=pissa"], says: "'\(language)init' is pissa, which DoRA",
      at: language + "init")
    try assertFault(
      good, sets: ["adapter=./a", language + "init=olora"], says: "'\(language)init' is for fresh updates",
      at: language + "init")
    try assertFault(
      good, sets: ["train.parts.vision.train=lora", language + "dora=true"],
      says: "'\(language)dora' is true, that of vision is false", at: language + "dora")
    for (key, value) in [
      ("exclude", "[q]"), ("rslora", "true"), ("dora", "true"), ("rank_pattern", "{q: 1}"), ("alpha_pattern", "{q: 1}"),
      ("bias", "all"), ("modules_to_save", "[norm]"), ("init", "pissa"),
    ] {
      for part in ["vision", "projector"] {
        let place = "train.parts.\(part).\(key)"
        try assertFault(good, sets: ["\(place)=\(value)"], says: "'\(place)' is for 'train: lora'", at: place)
      }
    }
    for alpha in ["0", "-1", ".inf"] {
      try assertFault(
        good, sets: ["train.neftune_alpha=\(alpha)"], says: "'train.neftune_alpha' is", at: "train.neftune_alpha")
    }
    for text in [
      "rank_pattern: [q_proj]", "rank_pattern: {q_proj: x}", "init: eva", "init: pissa_niter_0", "bias: some",
    ] {
      XCTAssertThrowsError(try self.language(text), text) { XCTAssertEqual(($0 as? Fault)?.kind, .badConfiguration) }
    }
  }

  func testNamesOfOtherTrainers() throws {
    for (typed, meant) in [
      ("use_dora", "dora"), ("use_rslora", "rslora"), ("exclude_modules", "exclude"), ("init_lora_weights", "init"),
    ] {
      XCTAssertThrowsError(try language("\(typed): true"), typed) {
        XCTAssertTrue("\($0)".contains("train.parts.language.\(meant)'"), "\($0)")
      }
    }
  }
}
