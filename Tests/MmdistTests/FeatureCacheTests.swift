import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// With kept features a run has the same bits as without, whatever lies in the cache.
final class FeatureCacheTests: ProgramTestCase {
  private let golden = "llava-clip-llama"

  override func setUpWithError() throws {
    try super.setUpWithError()
    try write("run.yaml", Golden(golden).runFile())
  }

  private func train(
    _ output: String, _ features: String, _ changes: [String] = [], ranks: Int? = nil
  ) throws -> (hits: Int, misses: Int) {
    try succeed(
      ["train", "-c", "run.yaml"] + sets("output=\(output)", "cache.features=\(features)", "cache.folder=cache")
        + sets("data.shuffle=true", "train.global_batch=7", "train.micro_batch=2", "train.steps=6") + changes,
      ranks: ranks)
    let lines = try metrics(output)
    for line in lines where features != "off" {
      let lookups = line["feature_cache"]
      let seen = (lookups?["hits"]?.integer ?? -1) + (lookups?["misses"]?.integer ?? -1)
      XCTAssertEqual(seen, line["images"]?.integer, "every picture is a hit or a miss")
    }
    func sum(_ key: String) -> Int { lines.reduce(0) { $0 + ($1["feature_cache"]?[key]?.integer ?? 0) } }
    return (sum("hits"), sum("misses"))
  }

  private func assertSame(_ output: String, _ other: String, file: StaticString = #filePath, line: UInt = #line) throws
  {
    XCTAssertEqual(try timelessMetrics(output), try timelessMetrics(other), file: file, line: line)
    let name = "adapter/adapter_model.safetensors"
    XCTAssertEqual(try bytes("\(output)/\(name)"), try bytes("\(other)/\(name)"), file: file, line: line)
  }

  private func cached() throws -> [String] {
    let names = FileManager.default.enumerator(atPath: path("cache"))?.compactMap { $0 as? String } ?? []
    return names.filter { ($0 as NSString).lastPathComponent.count == 32 && $0.split(separator: "/").count == 4 }
      .map { "cache/" + $0 }
  }

  func testTheSameBitsOffColdWarmAndInMemoryOnAnyNumberOfRanks() throws {
    for precision in ["float32", "bfloat16"] {
      let changes = sets("train.precision=\(precision)")
      _ = try train("off", "off", changes)
      XCTAssertNil(try metrics("off")[0]["feature_cache"])
      let images = try metrics("off").reduce(0) { $0 + ($1["images"]?.integer ?? 0) }

      let inMemory = try train("memory", "memory", changes)
      XCTAssertGreaterThan(inMemory.hits, 0)
      XCTAssertFalse(FileManager.default.fileExists(atPath: path("cache/features")), "memory writes nothing")
      let cold = try train("cold", "disk", changes)
      XCTAssertEqual(cold.misses, inMemory.misses)
      XCTAssertEqual(try cached().count, cold.misses, "a file for every picture that was looked at")
      let warm = try train("warm", "disk", changes)
      XCTAssertEqual(warm.hits, images)
      let fromDisk = try train("from-disk", "disk", changes + sets("cache.memory_gib=0"), ranks: 3)
      XCTAssertEqual(fromDisk.hits, images)
      try FileManager.default.removeItem(atPath: path("cache"))
      let onRanks = try train("on-ranks", "disk", changes, ranks: 4)
      XCTAssertGreaterThan(onRanks.hits, 0)
      for output in ["memory", "cold", "warm", "from-disk", "on-ranks"] { try assertSame(output, "off") }
      for output in ["off", "memory", "cold", "warm", "from-disk", "on-ranks", "cache"] {
        try FileManager.default.removeItem(atPath: path(output))
      }
    }
  }

  func testAPictureThatComesOftenInABatchIsLookedAtOnce() throws {
    let golden = try Golden(golden)
    let number = try XCTUnwrap(golden.records.firstIndex { $0.images.count == 1 })
    let lines = try String(contentsOfFile: golden.recordsFile, encoding: .utf8).split(separator: "\n")
    try write("train.jsonl", String(repeating: lines[number] + "\n", count: 7))
    let changes = sets("data.train.0.path=train.jsonl", "data.train.0.images=\(golden.imagesFolder)")
    let together = changes + sets("train.micro_batch=7", "train.steps=1")
    _ = try train("off", "off", together)
    let found = try train("memory", "memory", together)
    XCTAssertEqual(found.misses, 1)
    XCTAssertEqual(found.hits, 6)
    try assertSame("memory", "off")
  }

  func testADamagedCacheIsMadeAgain() throws {
    _ = try train("off", "off")
    let cold = try train("cold", "disk")
    let files = try cached()
    XCTAssertGreaterThan(files.count, 2)
    for (number, name) in files.enumerated() {
      try change(name) { data in
        switch number % 3 {
        case 0: data[data.count - 1 - number] ^= 1
        case 1: data.removeLast(number + 1)
        default: data = Data(repeating: 0, count: data.count)
        }
      }
    }
    let mended = try train("mended", "disk")
    XCTAssertEqual(mended.misses, cold.misses)
    let warm = try train("warm", "disk")
    XCTAssertEqual(warm.misses, 0)
    for output in ["cold", "mended", "warm"] { try assertSame(output, "off") }
  }

  func testAnotherPictureUnderTheSameName() throws {
    let golden = try Golden(golden)
    try copy(golden.imagesFolder, to: "images")
    try copy(golden.recordsFile, to: "train.jsonl")
    let changes = sets("data.train.0.path=train.jsonl", "data.train.0.images=images")
    _ = try train("before", "disk", changes)
    let used = golden.records.flatMap(\.images)
    let (first, second) = (used[0], try XCTUnwrap(used.first { $0 != used[0] }))
    let content = try bytes("images/\(second)")
    try change("images/\(first)") { $0 = content }
    let after = try train("after", "disk", changes)
    XCTAssertEqual(after.misses, 0, "the other picture is known")
    _ = try train("off", "off", changes)
    try assertSame("after", "off")
    XCTAssertNotEqual(try timelessMetrics("after"), try timelessMetrics("before"))
  }

  func testOtherWeightsDepthsProcessorOrPrecisionAreOtherFeatures() throws {
    let golden = try Golden(golden)
    try copy(golden.modelFolder, to: "model")
    let changes = sets("model=model")
    let before = try train("before", "disk", changes)
    XCTAssertGreaterThan(before.misses, 0)
    func assertOther(_ name: String, _ more: [String] = [], line: UInt = #line) throws {
      let after = try train(name, "disk", changes + more)
      XCTAssertEqual(after.misses, before.misses, name, line: line)
      _ = try train(name + "-off", "off", changes + more)
      try assertSame(name, name + "-off", line: line)
      XCTAssertNotEqual(try timelessMetrics(name), try timelessMetrics("before"), line: line)
    }
    try assertOther("precision", sets("train.precision=bfloat16"))

    let weights = try bytes("model/model.safetensors")
    let stored = try SafeTensorsFile(path("model/model.safetensors")).stored().map { tensor in
      var tensor = tensor
      if tensor.name.hasSuffix("vision_tower.encoder.layers.0.mlp.fc1.bias") { tensor.bytes[3] ^= 0x01 }
      return tensor
    }
    try writeStored(stored, to: path("model/model.safetensors"))
    XCTAssertNotEqual(try bytes("model/model.safetensors"), weights)
    try assertOther("weights")
    try change("model/model.safetensors") { $0 = weights }

    let configuration = try JSON(contentsOf: path("model/config.json"))
    try write("model/config.json", configuration.with("vision_feature_layer", -1).indented)
    try assertOther("depths")
    try write("model/config.json", configuration.indented)

    let name = "model/processor_config.json"
    let processor = try JSON(contentsOf: path(name))
    try write(name, processor.with("image_processor.image_mean", [0.5, 0.4, 0.3]).indented)
    try assertOther("processor")
    try write(name, processor.indented)

    let again = try train("again", "disk", changes)
    XCTAssertEqual(again.misses, 0, "the first features are still there")
    try assertSame("again", "before")
  }

  func testATrainedVisionEncoderIsAlwaysAsked() throws {
    for part in ["{train: full, learning_rate: 1.0e-3}", "{train: lora, rank: 4, alpha: 8}"] {
      let changes = sets("train.parts.vision=\(part)", "adapter=null", "train.parts.language={train: frozen}")
      try succeed(
        ["train", "-c", "run.yaml"] + sets("output=trained", "cache.folder=cache", "train.steps=2") + changes)
      XCTAssertNil(try metrics("trained")[0]["feature_cache"])
      XCTAssertFalse(FileManager.default.fileExists(atPath: path("cache")))
      try FileManager.default.removeItem(atPath: path("trained"))
    }
  }

  /// Where a later stage freezes the encoder, its updates drop nothing any more.
  func testAnEncoderThatAnEarlierStageTrainedWithDropout() throws {
    let stages = """
      [{name: a, train: {steps: 3, parts: {vision: {train: lora, rank: 4, alpha: 8, dropout: 0.3, \
      learning_rate: 0.05}, projector: {train: frozen}}}}, \
      {name: b, train: {steps: 3, parts: {vision: {train: frozen}, projector: {train: full}}}}]
      """
    try write("run.yaml", try Golden(golden).plainRunFile + "stages: " + stages)
    let changes = sets("train.parts.language={train: frozen}", "train.micro_batch=2", "data.shuffle=false")
    for features in ["off", "memory"] {
      try succeed(
        ["train", "-c", "run.yaml"] + sets("output=\(features)", "cache.features=\(features)", "cache.folder=cache")
          + changes)
    }
    let kept = try metrics("memory")
    XCTAssertEqual(kept.map { $0["feature_cache"] == nil }, [true, true, true, false, false, false])
    try assertSame("memory", "off")
  }

  func testACacheThatCannotBeWrittenIsToldOnce() throws {
    _ = try train("off", "off")
    try write("cache", "a file where the folder would be")
    let ended = try succeed(
      ["train", "-c", "run.yaml"] + sets("output=run", "cache.folder=cache", "data.shuffle=true")
        + sets("train.global_batch=7", "train.micro_batch=2", "train.steps=6"), ranks: 2)
    XCTAssertEqual(ended.errorLines.count, 1, ended.errors)
    XCTAssertTrue(
      ended.errors.hasPrefix("mmdist: warning: features of pictures are no longer written to disk: "), ended.errors)
    try assertSame("run", "off")
  }

  func testResumingWithOtherCacheSettings() throws {
    _ = try train("off", "off")
    _ = try train("run", "disk", sets("train.steps=6", "checkpoint.every=2"))
    for step in ["4", "6"] { try FileManager.default.removeItem(atPath: path("run/checkpoints/step-0000000\(step)")) }
    let ended = try run(
      ["train", "-c", "run.yaml"] + sets("output=run", "cache.features=memory", "cache.memory_gib=0.5")
        + sets(
          "data.shuffle=true", "train.global_batch=7", "train.micro_batch=2", "train.steps=6", "checkpoint.every=2"))
    XCTAssertEqual(ended.code, 0)
    XCTAssertTrue(ended.output.contains("resumed after step 2"), ended.output)
    XCTAssertEqual(ended.errors, "", "a cache is no difference of the run")
    try assertSame("run", "off")
  }

  func testEvaluationUsesAndFillsIt() throws {
    let golden = try Golden(golden)
    func evaluate(_ features: String, ranks: Int? = nil) throws -> JSON {
      try succeed(
        [
          "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output",
          "report.json",
        ] + sets("cache.folder=cache", "cache.features=\(features)"), ranks: ranks)
      return try JSON(contentsOf: path("report.json"))
    }
    let off = try evaluate("off")
    XCTAssertEqual(try evaluate("disk"), off)
    XCTAssertEqual(try cached().count, Set(golden.records.flatMap(\.images)).count)
    XCTAssertEqual(try evaluate("disk", ranks: 2), off)
    let trained = try train("run", "disk")
    XCTAssertEqual(trained.misses, 0, "training takes what evaluation left")
  }
}
