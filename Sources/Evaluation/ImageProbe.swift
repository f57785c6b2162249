import Batching
import Datasets
import Ground
import Models
import Parallel
import Tensors

/// A cheap look at whether a model uses pictures: the loss of a few records with their own pictures and with each other's.
public struct ImageProbe: Sendable {
  /// −log p per supervised token.
  public struct Reading: Equatable, Sendable {
    public let right: Double
    public let shuffled: Double

    public init(right: Double, shuffled: Double) { (self.right, self.shuffled) = (right, shuffled) }

    /// What the right picture is worth, in nats per token.
    public var gain: Double { shuffled - right }

    public var json: JSON {
      ["right": .number(right), "shuffled": .number(shuffled), "gain": .number(gain)]
    }
  }

  private let right: QuestionSet
  private let shuffled: QuestionSet

  /// Takes the first records with pictures of an even spread.
  /// - Returns: nil where no two of them have different pictures.
  /// - Throws: `Fault` at `file:line` for a record among them that cannot be read.
  public init?(_ questions: QuestionSet, records count: Int, seed: UInt64) throws {
    let spread = questions.spread(8 * count)
    var found: [Int] = []
    for number in 0..<spread.count where found.count < count {
      if try !spread.record(number).images.isEmpty { found.append(number) }
    }
    let shuffle = try PictureShuffle(found.map { spread.chosen[$0] }, seed: seed) {
      try spread.records.record($0).images
    }
    let seeing = found.filter { shuffle.exchanged.contains(spread.chosen[$0]) }
    guard !seeing.isEmpty else { return nil }
    right = spread.only(seeing)
    shuffled = right.showing(.shuffled, shuffle)
    for number in 0..<right.count { _ = try right.sample(number) }
  }

  public func callAsFunction(
    _ model: MultimodalModel, features: FeatureCache?, _ communicator: any Communicator, _ backend: any Backend
  ) throws -> Reading {
    func loss(_ questions: QuestionSet) throws -> Double {
      try LossEvaluation(of: model, questions, features: features, communicator, backend).loss
    }
    return Reading(right: try loss(right), shuffled: try loss(shuffled))
  }
}

/// Tells when a model that is being trained ignores its pictures.
///
/// It does when, after the first fifth of the run, the right picture is worth less than 0.01 nats per token in three looks in a
/// row: whether it sees the right picture or another makes the answers hardly more or less likely.
public struct ImageAlarm: Sendable {
  public static let leastGain = 0.01
  public static let looks = 3
  private var gains: [Double] = []
  private(set) public var isRaised = false

  public init() {}

  /// Takes note of a look.
  /// - Returns: what is to be said: when the pictures begin to be ignored, and when they no longer are.
  public mutating func add(_ reading: ImageProbe.Reading, step: Int, of steps: Int) -> String? {
    gains.append(reading.gain)
    let recent = gains.suffix(Self.looks)
    let ignores = recent.count == Self.looks && recent.allSatisfy { $0 < Self.leastGain } && 5 * step > steps
    defer { isRaised = ignores }
    guard ignores != isRaised else { return nil }
    if !ignores { return "step \(step): the pictures are used again" }
    return
      "warning: step \(step): the model ignores the pictures: with those of other records the held-out answers are as likely "
      + "(loss \(rounded(reading.shuffled)), with the right ones \(rounded(reading.right)))"
  }

  private func rounded(_ value: Double) -> String {
    String((value * 1000).rounded() / 1000)
  }
}
