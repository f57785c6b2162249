import ArgumentParser
import Demo
import Foundation
import Ground

extension Recipe: ExpressibleByArgument {}

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes the demo, or a run file for a model and records of your own, to a folder to start from.",
    discussion: """
      Without --model it writes the demo (model, pictures, records, mmdist.yaml): cd DIR && mpirun -n 8 mmdist train
      With --model and --data it writes mmdist.yaml alone, for these.

      Recipes:
      \(Recipe.allCases.map { "  \($0.rawValue)\(String(repeating: " ", count: 12 - $0.rawValue.count))\($0.summary)" }.joined(separator: "\n"))
      """)
  @Argument(help: ArgumentHelp("A folder; it is made where it is missing.", valueName: "DIR")) var folder: String
  @Option(help: ArgumentHelp("Which run file; see above.", valueName: "NAME")) var recipe = Recipe.demo
  @Option(help: ArgumentHelp("A Hugging Face model directory of your own.", valueName: "DIR")) var model: String?
  @Option(help: ArgumentHelp("Your records, JSON or JSON Lines.", valueName: "FILE")) var data: String?
  @Option(help: ArgumentHelp("The folder of their images; default: that of the records.", valueName: "DIR")) var images:
    String?

  func validate() throws {
    guard (model == nil) == (data == nil) else {
      throw ValidationError("give both --model and --data, or none of them for the demo")
    }
    guard model != nil else {
      if images != nil { throw ValidationError("--images goes with --model and --data") }
      return
    }
    if recipe == .demo { throw ValidationError("the recipe 'demo' is for the demo; name another one by --recipe") }
  }

  func run() throws {
    guard !FileManager.default.fileExists(atPath: folder + "/mmdist.yaml") else {
      throw Fault(.cannotWrite, "there is a run file already", at: folder + "/mmdist.yaml", "choose another folder")
    }
    if let model, let data {
      try makeFolder(folder)
      let paths = Recipe.Paths(
        model: absolute(model), records: absolute(data),
        images: absolute(images ?? parentFolder(of: data)))
      try writeDurably(recipe.text(paths), to: folder + "/mmdist.yaml")
      printLine("wrote \(folder)/mmdist.yaml; next: cd \(folder) && mmdist check && mmdist train")
    } else {
      try writeDemo(to: folder, recipe: recipe)
      printLine(
        "wrote \(folder): model, images, train.jsonl, held-out.jsonl, mmdist.yaml; next: cd \(folder) && mmdist train")
    }
  }

  /// The run file may lie elsewhere than where the command is given.
  private func absolute(_ path: String) -> String {
    let whole = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    return (whole as NSString).standardizingPath
  }
}
