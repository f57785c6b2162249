import Foundation
import Ground
import SafeTensors
import TestSupport
import XCTest

/// An adapter that brings a whole projector, and a run that goes on from it without training the projector.
final class CarriedPartsTests: ProgramTestCase {
  private let lora = "{train: lora, rank: 4, alpha: 8, dropout: 0, targets: [q_proj]}"

  private func projector(_ adapter: String) throws -> [String: Data] {
    let file = try SafeTensorsFile(path("\(adapter)/adapter_model.safetensors"))
    let names = file.entries.keys.filter { $0.contains("multi_modal_projector") }
    return try Dictionary(uniqueKeysWithValues: names.map { ($0, try Data(file.bytes(of: $0))) })
  }

  func testTheProjectorOfAnAdapterIsNeverLost() throws {
    try write("run.yaml", try Golden("llava-clip-llama").plainRunFile)
    let train = ["train", "-c", "run.yaml"] + sets("train.parts.language=\(lora)")
    try succeed(train + sets("output=first", "train.parts.projector={train: full, learning_rate: 1.0e-2}"))
    let trained = try projector("first/adapter")
    XCTAssertEqual(trained.count, 4)

    let second = train + sets("adapter=\(path("first/adapter"))", "train.parts.projector={train: frozen}")
    try succeed(second + sets("output=second"), ranks: 2)
    XCTAssertEqual(try projector("second/adapter"), trained, "it is written again, as it came")

    // The checkpoint alone says it too, also where the first adapter is gone.
    let run = "second/checkpoints/step-00000004"
    let byAdapter = try loss(["--adapter", path("second/adapter")])
    try succeed(["export", "--checkpoint", path(run), "--format", "merged", "--output", path("merged")])
    try FileManager.default.removeItem(atPath: path("first"))
    let sets = sets("train.parts.language=\(lora)", "train.parts.projector={train: frozen}")
    let byCheckpoint = try loss(["--checkpoint", path(run)] + sets)
    XCTAssertEqual(byCheckpoint, byAdapter)
    XCTAssertNotEqual(try loss([]), byAdapter)
    try succeed(
      ["export", "--checkpoint", path(run), "--format", "peft", "--output", path("again")])
    XCTAssertEqual(try projector("again"), trained)
  }

  /// PEFT takes any ending of a module's path in `modules_to_save`.
  func testAPartThatIsNamedByItsModulesIsNotLostEither() throws {
    let golden = try Golden("llava-clip-llama")
    try write("run.yaml", golden.plainRunFile)
    let train = ["train", "-c", "run.yaml"] + sets("train.parts.language=\(lora)")
    try succeed(train + sets("output=first", "train.parts.projector={train: full, learning_rate: 1.0e-2}"))
    let name = "first/adapter/adapter_config.json"
    try write(name, try JSON(contentsOf: path(name)).with("modules_to_save", ["linear_1", "linear_2"]).indented)
    let trained = try projector("first/adapter")
    try succeed(
      train + sets("output=second", "adapter=\(path("first/adapter"))", "train.parts.projector={train: frozen}"))
    XCTAssertEqual(try projector("second/adapter"), trained)
    try succeed([
      "export", "--model", golden.modelFolder, "--adapter", path("first/adapter"), "--format", "peft", "--output",
      "again",
    ])
    XCTAssertEqual(try projector("again"), trained)
  }

  private func loss(_ arguments: [String]) throws -> Double {
    let golden = try Golden("llava-clip-llama")
    try succeed(
      [
        "eval", "-c", "run.yaml", "--data", golden.recordsFile, "--images", golden.imagesFolder, "--output",
        "r",
      ]
        + arguments)
    return try XCTUnwrap(JSON(contentsOf: path("r"))["metrics"]?["loss"]?.double)
  }
}
