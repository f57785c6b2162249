import Foundation
import Ground

/// The model that comes with the program.
public enum DemoModel {
  /// The files of its folder.
  public static let files = [
    "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "processor_config.json",
    "generation_config.json", "model.safetensors",
  ]

  /// The folder of the model: the first of these that is there.
  ///
  /// 1. `$MMDIST_SHARE/demo/model`;
  /// 2. `../share/mmdist/demo/model`, seen from the folder of the program;
  /// 3. `*_Demo.resources/model` beside the program, where the build and the install script put it.
  /// - Throws: `Fault(.missingInput)` that names the places.
  public static func folder() throws -> String {
    let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let places = candidates(
      share: ProcessInfo.processInfo.environment["MMDIST_SHARE"], programFolder: program.path)
    if let found = places.first(where: { FileManager.default.fileExists(atPath: $0 + "/config.json") }) {
      return found
    }
    throw Fault(
      .missingInput, "the demo's model is not there", at: places.joined(separator: ", "),
      "install with cluster/install.sh; a copy of the program needs the folder mmdist_Demo.resources beside it")
  }

  static func candidates(share: String?, programFolder: String) -> [String] {
    let prefix = parentFolder(of: programFolder)
    let beside = (try? FileManager.default.contentsOfDirectory(atPath: programFolder)) ?? []
    return [share.map { $0 + "/demo/model" }, prefix + "/share/mmdist/demo/model"].compactMap(\.self)
      + beside.filter { $0.hasSuffix("_Demo.resources") }.sorted().map { "\(programFolder)/\($0)/model" }
  }
}
