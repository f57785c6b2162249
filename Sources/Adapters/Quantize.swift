import Ground
import Models
import Modules
import Tensors

/// Keeps the matrices of some parts' linear layers as 4-bit codes (``NF4``); QLoRA is this, then ``LoRA``.
///
/// Heads stay as they are, and so do embeddings, vectors and convolutions, which are no linear layers.
public struct Quantize: ModelTransform {
  public let parts: Set<ModelPart>

  public init(_ parts: Set<ModelPart>) { self.parts = parts }

  public func transform(_ layer: any LinearLayer, in scope: Scope) -> any LinearLayer {
    if parts.contains(MultimodalModel.part(of: scope.path)), !MultimodalModel.isHead(scope.path),
      !layer.base.isTied
    {
      layer.base.weight.isQuantised = true
    }
    return layer
  }

  /// - Parameter tuned: what is trained in any stage.
  /// - Throws: `Fault(.badConfiguration)` where codes would have to be trained.
  func check(_ model: MultimodalModel, tuned: [Parameter]) throws {
    guard let trained = tuned.first(where: \.isQuantised) else { return }
    let part = MultimodalModel.part(of: trained.name).rawValue
    throw Fault(
      .badConfiguration, "'\(trained.name)' would be trained, which 4-bit codes cannot be",
      at: "train.parts.\(part).quantize", "set 'quantize: none', or tune the part by lora in every stage")
  }
}
