import ArgumentParser
import Demo
import Foundation
import Ground

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes the demo (model, data, mmdist.yaml) to a folder, to start from.",
    discussion: "Then: cd DIR && mpirun -n 8 mmdist train")
  @Argument(help: ArgumentHelp("A folder; it is made where it is missing.", valueName: "DIR")) var folder: String

  func run() throws {
    guard !FileManager.default.fileExists(atPath: folder + "/mmdist.yaml") else {
      throw Fault(.cannotWrite, "there is a run file already", at: folder + "/mmdist.yaml", "choose another folder")
    }
    try writeDemo(to: folder)
    printLine(
      "wrote \(folder): model, images, train.jsonl, held-out.jsonl, mmdist.yaml; next: cd \(folder) && mmdist train")
  }
}
