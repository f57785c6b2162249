import Batching
import Datasets
import Ground
import Models
import Tensors

/// The loss of labels of whole texts, as transformers has it for each kind: −log p of the label; the binary cross-entropy
/// of each label; the squared error; the last two as means over the labels of a text.
public struct LabelLoss: Objective {
  public let problem: LabelProblem
  public let weight: Double

  public init(_ problem: LabelProblem, weight: Double = 1) {
    self.problem = problem
    self.weight = weight
  }

  public var name: String {
    switch problem {
    case .singleLabel: "cross_entropy"
    case .multiLabel: "binary_cross_entropy"
    case .regression: "squared_error"
    }
  }

  public func loss(
    _ batch: DeviceBatch, hidden: Tensor, _ model: MultimodalModel, _ context: Context
  ) -> (Tensor, Double) {
    guard let labels = batch.labels, let classifier = model.classifier else {
      preconditionFailure("LabelLoss: a batch with labels and a model with a classifier are wanted")
    }
    let (sum, losses) = context.labelLoss(classifier(hidden, context), labels, problem)
    return (sum, losses.reduce(0, +))
  }
}
