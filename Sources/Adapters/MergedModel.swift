import Foundation
import Ground
import Models
import Modules
import Tensors

extension AdaptedModel {
  public enum Layout: Sendable {
    /// Hugging Face's, as the Hub has it.
    case hub
    /// The original LLaVA code's.
    case llava
  }

  /// Writes the whole model with the updates added to its weights: weights in one safetensors file, and every other
  /// file of the model folder as it is.
  public func exportMerged(to path: String, layout: Layout, backend: any Backend) throws {
    guard layout == .hub || model.isMultimodal else {
      throw Fault(.usage, "a language model alone has no LLaVA layout", at: path, "use --format merged")
    }
    let temporary = path + ".writing"
    try? FileManager.default.removeItem(atPath: temporary)
    try makeFolder(temporary)
    let updates = Dictionary(uniqueKeysWithValues: lowRankLayers.map { (ObjectIdentifier($0.base.weight), $0) })
    let added = Set(tunings.flatMap(\.added).map { ObjectIdentifier($0) })
    let names = model.weightNames
    let tensors = model.parameters.filter { !added.contains(ObjectIdentifier($0)) }.map { parameter in
      let name = layout == .hub ? names.hub(parameter.name) : names.llava(parameter.name)
      return (name, updates[ObjectIdentifier(parameter)]?.merged(backend) ?? parameter.value)
    }
    try write(tensors, to: temporary + "/model.safetensors", backend)
    try copyOtherFiles(to: temporary)
    try replaceFolder(path, with: temporary)
  }

  /// Configuration, tokenizer and processor files; weights, adapters and folders stay behind.
  private func copyOtherFiles(to path: String) throws {
    let files = FileManager.default
    do {
      for name in try files.contentsOfDirectory(atPath: folder.path).sorted() {
        let isWeights = [".safetensors", ".bin", ".pt", ".pth", ".index.json", ".gguf"].contains { name.hasSuffix($0) }
        var isFolder: ObjCBool = false
        let source = folder.path + "/" + name
        guard !isWeights, files.fileExists(atPath: source, isDirectory: &isFolder), !isFolder.boolValue else {
          continue
        }
        try writeDurably(readFile(source), to: path + "/" + name)
      }
    } catch let fault as Fault {
      throw fault
    } catch {
      throw Fault(.inputOutput, "cannot copy the model's files: \(error)", at: folder.path, "check the folder")
    }
  }

  /// How an adapter's parts were trained, as its files tell.
  public static func methods(ofAdapter path: String, for folder: ModelFolder) throws -> [ModelPart: any TuningMethod] {
    let configuration = try PEFTConfiguration(contentsOf: path + "/adapter_config.json")
    guard let settings = configuration.settings else { return [:] }
    // PEFT knows no parts: the targets are looked for in each, and the parts that have any are wrapped.
    let bare = try folder.makeModel()
    let matches = try settings.targets.matcher()
    let found = bare.linears.map(\.path).filter { matches($0, $0 == "lm_head") }
    guard !found.isEmpty else {
      throw Fault(
        .badData, "the adapter's target_modules match no linear layer of the model", at: path,
        "use the adapter with the model that it was trained on")
    }
    var methods: [ModelPart: any TuningMethod] = [:]
    for part in Set(found.map(MultimodalModel.part(of:))) {
      let own = found.filter { MultimodalModel.part(of: $0) == part }
      methods[part] = LoRASettings(
        rank: settings.rank, alpha: settings.alpha, dropout: settings.dropout, targets: .names(own))
    }
    return methods
  }
}
