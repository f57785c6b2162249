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
    try export(to: path, layout: layout, backend: backend) { $0.merged(backend) }
  }

  /// Writes the model that this one was merged from: this model is the merged one, with the adapter that was merged in.
  ///
  /// The weights are those of the former model to rounding.
  /// - Throws: `Fault(.badConfiguration)` for an adapter that does not tell what was there before it.
  public func exportUnmerged(to path: String, layout: Layout, backend: any Backend) throws {
    let added = Set(tunings.flatMap(\.added).map { ObjectIdentifier($0) })
    if lowRankLayers.contains(where: { $0.magnitude != nil }) {
      throw Fault(
        .badConfiguration, "a merged DoRA adapter cannot be taken out: the lengths of the former rows are lost",
        at: folder.path, "use the model that it was merged into")
    }
    if let replaced = trainable.first(where: { !added.contains(ObjectIdentifier($0)) }) {
      throw Fault(
        .badConfiguration, "the adapter replaced '\(replaced.name)', whose former value it does not hold",
        at: folder.path, "use the model that it was merged into")
    }
    try export(to: path, layout: layout, backend: backend) { $0.unmerged(backend) ?? $0.base.weight.value }
  }

  private func export(
    to path: String, layout: Layout, backend: any Backend, _ weight: (LoRALinear) -> Tensor
  ) throws {
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
      return (name, updates[ObjectIdentifier(parameter)].map(weight) ?? parameter.value)
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
}
