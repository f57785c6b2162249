import Demo
import Foundation
import Ground
import RunFile
import TestSupport
import XCTest

/// Run files that are ready to be used.
final class RecipeTests: ProgramTestCase {
  func testEveryRecipeIsAWholeRunFile() throws {
    for recipe in Recipe.allCases {
      let run = try RunConfiguration(parsing: recipe.text(.demo), folder: "/job")
      XCTAssertNoThrow(try run.validate(), recipe.rawValue)
      XCTAssertEqual(run.model, "/job/model")
      XCTAssertTrue(recipe.summary.count <= 110)
    }
    let llava = try RunConfiguration(parsing: Recipe.llavaLoRA.text(.demo), folder: "/job").runStages
    XCTAssertEqual(llava.map(\.name), ["align", "instruct"])
    XCTAssertEqual(llava.map(\.train.globalBatch), [256, 128])
    XCTAssertEqual(llava.map(\.train.parts.projector.learningRate), [1e-3, 2e-5])
    XCTAssertEqual(llava.map(\.train.parts.language.train), [.frozen, .lora])
    XCTAssertEqual(llava[1].train.parts.language.alpha, 256)
  }

  /// A program without the demo's model beside it says so before it draws anything.
  func testTheDemoWithoutItsModel() throws {
    try copy(Program.path, to: "mmdist")
    let (process, errors) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: path("mmdist"))
    process.arguments = ["init", "demo"]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.standardError = errors
    try process.run()
    let told = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    XCTAssertEqual(process.terminationStatus, Fault.Kind.missingInput.rawValue, told)
    XCTAssertTrue(told.contains("needs the folder mmdist_Demo.resources beside it"), told)
    XCTAssertFalse(FileManager.default.fileExists(atPath: path("demo")), "nothing is drawn")
  }

  func testARecipeForAModelAndRecordsOfOnesOwn() throws {
    let golden = try Golden("llava-clip-llama")
    try write("it's.jsonl", String(contentsOfFile: golden.recordsFile, encoding: .utf8))
    for recipe in Recipe.allCases where recipe != .demo {
      let ended = try succeed([
        "init", "--recipe", recipe.rawValue, "--model", golden.modelFolder, "--data", "it's.jsonl", "--images",
        golden.imagesFolder, recipe.rawValue,
      ])
      XCTAssertTrue(ended.output.contains("wrote \(recipe.rawValue)/mmdist.yaml"), ended.output)
      try succeed(["check", "-c", "\(recipe.rawValue)/mmdist.yaml"])
      try succeed(["train", "-c", "\(recipe.rawValue)/mmdist.yaml"])
      let losses = try metrics("\(recipe.rawValue)/run").compactMap { $0["loss"]?.double }
      XCTAssertFalse(losses.isEmpty)
      XCTAssertTrue(losses.allSatisfy { $0.isFinite && $0 > 0 })
    }
  }

  func testWhatMakesNoSenseIsRefused() throws {
    for arguments in [
      ["--recipe", "nothing", "a"], ["--model", "m", "a"], ["--images", "i", "a"],
      ["--model", "m", "--data", "d", "a"],
    ] {
      XCTAssertEqual(try run(["init"] + arguments).code, Fault.Kind.usage.rawValue, "\(arguments)")
      XCTAssertFalse(FileManager.default.fileExists(atPath: path("a")))
    }
  }
}
