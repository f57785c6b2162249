import ArgumentParser
import Foundation
import Ground

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes the demo (model, data, mmdist.yaml) to a folder, to start from.")
  @Argument(help: "A folder; it is made where it is missing.") var folder: String

  func run() throws {
    throw Fault(.internalError, "the demo is not in this build", at: folder, "use a complete build")
  }
}
