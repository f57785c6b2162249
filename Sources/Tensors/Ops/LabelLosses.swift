import Foundation

/// Losses of labels against logits [N, L], of which there are few: computed on the host in double precision.
///
/// Each gives the sum over rows [1], and the loss of every row, which carries no gradient.
extension Context {
  /// −log softmax(logits)[target], one of L labels for each row.
  public func labelCrossEntropy(_ logits: Tensor, targets: [Int]) -> (sum: Tensor, losses: [Double]) {
    precondition(targets.count == logits.rows, "labelCrossEntropy: \(logits.shape), \(targets.count) targets")
    return labelLoss("labelCrossEntropy", logits) { row, values in
      let top = values.max() ?? 0
      let weights = values.map { exp($0 - top) }
      let total = weights.reduce(0, +)
      var gradient = weights.map { $0 / total }
      gradient[targets[row]] -= 1
      return (log(total) - (values[targets[row]] - top), gradient)
    }
  }

  /// The mean over L labels, each true or not by itself, of −t log σ(z) − (1 − t) log(1 − σ(z)).
  ///
  /// - Parameter targets: [N, L], numbers from 0 to 1.
  public func labelBinaryCrossEntropy(_ logits: Tensor, targets: [Float]) -> (sum: Tensor, losses: [Double]) {
    meanLoss("labelBinaryCrossEntropy", logits, targets) { z, t in
      (max(z, 0) - z * t + log1p(exp(-abs(z))), 1 / (1 + exp(-z)) - t)
    }
  }

  /// The mean over L numbers of (z − t)².
  ///
  /// - Parameter targets: [N, L]
  public func labelSquaredError(_ logits: Tensor, targets: [Float]) -> (sum: Tensor, losses: [Double]) {
    meanLoss("labelSquaredError", logits, targets) { z, t in ((z - t) * (z - t), 2 * (z - t)) }
  }

  /// The mean over a row of a loss that each element has by itself, with its derivative.
  private func meanLoss(
    _ operation: StaticString, _ logits: Tensor, _ targets: [Float],
    _ loss: (_ logit: Double, _ target: Double) -> (value: Double, derivative: Double)
  ) -> (sum: Tensor, losses: [Double]) {
    precondition(targets.count == logits.count, "\(operation): \(logits.shape), \(targets.count) targets")
    let width = logits.width
    return labelLoss(operation, logits) { row, values in
      let found = values.enumerated().map { loss($1, Double(targets[row * width + $0])) }
      return (
        found.reduce(0) { $0 + $1.value } / Double(width), found.map { $0.derivative / Double(width) }
      )
    }
  }

  private func labelLoss(
    _ operation: StaticString, _ logits: Tensor, _ loss: (_ row: Int, _ values: [Double]) -> (Double, [Double])
  ) -> (sum: Tensor, losses: [Double]) {
    let (backend, width) = (backend, logits.width)
    let values = backend.read(logits).map(Double.init)
    var (losses, gradients): ([Double], [Float]) = ([], [])
    for row in 0..<logits.rows {
      let (own, gradient) = loss(row, Array(values[row * width..<(row + 1) * width]))
      losses.append(own)
      gradients += gradient.map(Float.init)
    }
    let sum = backend.tensor([Float(losses.reduce(0, +))], [1])
    record(operation, inputs: [logits], output: sum) { [shape = logits.shape] seed in
      let factor = backend.read(seed)[0]
      return [backend.tensor(factor == 1 ? gradients : gradients.map { $0 * factor }, shape)]
    }
    return (sum, losses)
  }
}
