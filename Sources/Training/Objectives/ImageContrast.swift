import Batching
import Models
import RunFile
import Tensors

/// −log σ(log p(answer | its picture) − log p(answer | a wrong picture)) of each answer, log p the mean over its tokens
/// by their weights: the answer has to come from the picture.
///
/// Answers of a conversation are judged one by one: one that is easily seen does not make up for others.
/// The wrong picture is that of the next record of the micro-batch that has one, or a blank one.
public struct ImageContrast: LocalObjective {
  public let name = "image_contrast"
  public let weight: WeightCourse
  public let against: ImageContrastConfiguration.Against
  public let readsStates = true

  public init(weight: WeightCourse = 1, against: ImageContrastConfiguration.Against = .shuffled) {
    self.weight = weight
    self.against = against
  }

  public var counted: Counted { against == .shuffled ? .comparisons : .answers }

  public func loss(_ pass: ForwardPass, _ context: Context) -> (sum: Tensor, value: Double) {
    let inputs = pass.inputs
    let right = pass.model.tokenLogLosses(pass.states, targets: inputs.targets, context)
    let wrong = pass.model.tokenLogLosses(
      pass.states(seeing: wrongPictures(pass, context), context), targets: inputs.targets, context)
    return context.preference(
      better: right, worse: wrong, groups: pass.batch.answers, weights: pass.batch.targetWeights)
  }

  /// Rows of other pictures for every picture of the batch.
  private func wrongPictures(_ pass: ForwardPass, _ context: Context) -> Tensor {
    guard let pictures = pass.seen.pictures, let eyes = pass.model.eyes else {
      preconditionFailure("ImageContrast: a batch without pictures")
    }
    let (rows, backend) = (eyes.rowsPerImage, context.backend)
    func gather(_ table: Tensor, _ numbers: [Int]) -> Tensor {
      context.gatherRows(
        table, backend.tensor(numbers.flatMap { Int32($0 * rows)..<Int32(($0 + 1) * rows) }))
    }
    guard against == .shuffled else {
      let blank = backend.zeros([1, 3, eyes.imageSize, eyes.imageSize])
      let seen = eyes.project(eyes.features(blank, context), context)
      return gather(seen, [Int](repeating: 0, count: pass.batch.images))
    }
    // Every record's pictures become those of the next one that has any.
    var others = Array(0..<pass.batch.images)
    let owners = pass.batch.recordPairs.map(\.pictures)
    for (place, own) in owners.enumerated() {
      let next = owners[(place + 1) % owners.count]
      for (offset, picture) in own.enumerated() { others[picture] = next.lowerBound + offset % next.count }
    }
    return gather(pictures, others)
  }
}
