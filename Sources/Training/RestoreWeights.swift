import Adapters
import Checkpoints
import Ground
import Tensors

/// Gives a model the trained weights of a checkpoint, and nothing else of it.
/// - Throws: `Fault(.badConfiguration)` when the checkpoint trained other parameters.
public func restoreWeights(of adapted: AdaptedModel, from checkpoint: Checkpoint, _ backend: any Backend) throws {
  let parameters = Dictionary(uniqueKeysWithValues: adapted.tuned.map { ("model." + $0.name, $0) })
  var waiting = Set(parameters.keys)
  for tensor in checkpoint.tensors where tensor.description.name.hasPrefix("model.") {
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
  }
}
