import Datasets
import Ground
import Tensors

extension Context {
  /// The loss of the labels of a batch against logits [S, L]: the sum [1], and the loss of each text.
  public func labelLoss(
    _ logits: Tensor, _ labels: Batch.Labels, _ problem: LabelProblem
  ) -> (sum: Tensor, losses: [Double]) {
    switch (problem, labels) {
    case (.singleLabel, .numbers(let numbers)): labelCrossEntropy(logits, targets: numbers)
    case (.multiLabel, .values(let values)): labelBinaryCrossEntropy(logits, targets: values)
    case (.regression, .values(let values)): labelSquaredError(logits, targets: values)
    default: preconditionFailure("labelLoss: labels of another kind than \(problem.rawValue)")
    }
  }
}
