import Adapters
import Checkpoints
import Ground
import Models
import Tensors

/// Which numbers a checkpoint holds for each trained parameter, beside the optimiser's state.
public enum SavedWeights: Sendable {
  case trained
  /// Their moving average, where the run kept one.
  case average

  /// What the parameter's name follows.
  var prefix: String {
    switch self {
    case .trained: "model."
    case .average: "ema."
    }
  }
}

/// Gives a model the trained weights of a checkpoint, or their averages, and nothing else of it.
/// - Throws: `Fault(.badConfiguration)` when the checkpoint trained other parameters or has no averages.
public func restoreWeights(
  of adapted: AdaptedModel, from checkpoint: Checkpoint, taking kind: SavedWeights = .trained, _ backend: any Backend
) throws {
  let saved = Set(checkpoint.tensors.map(\.description.name))
  // Averages are kept of what the checkpoint's stage trained; all else is as it was then.
  func source(_ name: String) -> String {
    saved.contains(kind.prefix + name) ? kind.prefix + name : SavedWeights.trained.prefix + name
  }
  let trained = saved.filter { $0.hasPrefix(SavedWeights.trained.prefix) }
  let wanted = Set(trained.map { source(String($0.dropFirst(SavedWeights.trained.prefix.count))) })
  let tensors = checkpoint.tensors.filter { wanted.contains($0.description.name) }
  let parameters = Dictionary(uniqueKeysWithValues: adapted.tuned.map { (source($0.name), $0) })
  if kind == .average, !saved.contains(where: { $0.hasPrefix(kind.prefix) }) {
    throw Fault(
      .badConfiguration, "the checkpoint has no averages of the weights", at: checkpoint.folder,
      "leave out --ema, or train with train.ema")
  }
  var waiting = Set(parameters.keys)
  for tensor in tensors {
    let description = tensor.description
    guard let parameter = parameters[description.name], parameter.shape == description.shape,
      description.dtype == .float32
    else {
      throw Fault(
        .badConfiguration, "the run file does not train '\(description.name)' \(description.shape)",
        at: checkpoint.folder, "use the run file that the checkpoint was made with")
    }
    waiting.remove(description.name)
  }
  if let first = waiting.sorted().first {
    throw Fault(
      .badConfiguration, "the checkpoint has no '\(first)'", at: checkpoint.folder,
      "use the run file that the checkpoint was made with")
  }
  try checkpoint.forEachBox(where: { tensor, _ in parameters[tensor.description.name] != nil }) { tensor, box, bytes in
    guard let parameter = parameters[tensor.description.name] else { return }
    guard let start = box.contiguousStart(in: parameter.shape) else {
      throw Fault(.badData, "a tensor is stored in another layout", at: checkpoint.folder, "resume it once and save")
    }
    let flat = parameter.value.reshaped([parameter.count])
    backend.overwrite(flat.slice(start..<start + box.elementCount), with: bytes)
    parameter.valueChanged()
  }
}

/// The parts, language aside, whose weights a checkpoint holds: trained ones, and what an adapter brought.
public func carriedParts(of checkpoint: Checkpoint) -> Set<ModelPart> {
  let prefix = SavedWeights.trained.prefix
  let names = checkpoint.tensors.map(\.description.name).filter {
    $0.hasPrefix(prefix) && !$0.contains(".lora_") && !$0.contains(".adapters.")
  }
  return Set(names.map { MultimodalModel.part(of: String($0.dropFirst(prefix.count))) }).subtracting([.language])
}
