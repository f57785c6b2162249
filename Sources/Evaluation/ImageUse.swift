import Batching
import Datasets
import Foundation
import Ground
import Metrics
import Models
import OrderedCollections
import Parallel
import Tensors

/// Whether a model answers by what it sees: how its answers change when the pictures are other ones, blank, or not there.
public struct ImageUse: Sendable {
  /// What the model does when it is shown something.
  public struct Shown: Sendable {
    public let metric: Measurement
    public let loss: Measurement
  }

  /// What the figures say.
  public enum Verdict: String, Sendable {
    /// With another picture the answers are worse, beyond chance.
    case used
    /// They are as good, but the right answers are less likely, beyond chance.
    case hardlyUsed = "hardly used"
    /// Neither can be told from chance.
    case notUsed = "not used"
  }

  /// By ``PictureView``.
  public let views: OrderedDictionary<PictureView, Shown>
  /// Main figure with the right picture − with another, and the same of the loss per token the other way round.
  public let drop: Interval
  public let lossRise: Interval
  /// The metric's name.
  public let metric: String
  /// Records with pictures that others could take the place of; only those count.
  public let records: Int
  /// Records that were left out.
  public let leftOut: Int

  /// - Parameters: `known`: what was found with the right pictures of all questions. `seed`: of the exchange of pictures.
  /// - Throws: `Fault(.badData)` where no two records have different pictures.
  public init(
    of model: MultimodalModel, _ questions: QuestionSet, _ metric: any TextMetric, answering: Answering,
    known: ConversationEvaluation? = nil, seed: UInt64 = 0, features: FeatureCache? = nil,
    _ communicator: any Communicator, _ backend: any Backend,
    progress: (_ what: String, _ done: Int, _ all: Int) -> Void = { _, _, _ in }
  ) throws {
    let shuffle = try PictureShuffle(questions.chosen, seed: seed) { try questions.records.record($0).images }
    let seeing = questions.chosen.indices.filter { shuffle.exchanged.contains(questions.chosen[$0]) }
    guard !seeing.isEmpty else {
      throw Fault(
        .badData, "no two records have different pictures, so none can be exchanged", at: "--image-use",
        "evaluate on records with pictures")
    }
    let own = questions.only(seeing)
    let questionTexts = try (0..<own.count).map(own.unanswered)
    var views: OrderedDictionary<PictureView, Shown> = [:]
    for view in PictureView.allCases {
      let shown = own.showing(view, shuffle)
      let known = view == .right ? known : nil
      let losses =
        try known?.losses.map { losses in seeing.map { losses[$0] } }
        ?? LossEvaluation(of: model, shown, features: features, communicator, backend) {
          progress("loss \(view.phrase)", $0, $1)
        }.samples
      let texts =
        try known?.asked.map { asked in seeing.map { asked[$0].prediction } }
        ?? answering(shown, communicator) { progress("answers \(view.phrase)", $0, $1) }.map(\.text)
      let answers = zip(questionTexts, texts).map { $0.answer($1) }
      views[view] = Shown(metric: try Measurement(metric, answers), loss: .loss(losses))
    }
    guard let right = views[.right], let shuffled = views[.shuffled] else { preconditionFailure("ImageUse: no view") }
    // Both differences are of the same drawn records.
    let found = Bootstrap().intervals(count: seeing.count, named: "image use") { records in
      [
        right.metric.main(records) - shuffled.metric.main(records),
        shuffled.loss.main(records) - right.loss.main(records),
      ]
    }
    (drop, lossRise) = (found[0], found[1])
    (self.views, self.metric) = (views, metric.name)
    (records, leftOut) = (seeing.count, questions.count - seeing.count)
  }

  public var verdict: Verdict {
    if drop.low > 0 { return .used }
    return lossRise.low > 0 ? .hardlyUsed : .notUsed
  }

  /// The verdict in a sentence.
  public var sentence: String {
    let right = number(views[.right]?.metric.main() ?? .nan)
    let other = number(views[.shuffled]?.metric.main() ?? .nan)
    let interval = "95 % between \(number(drop.low)) and \(number(drop.high))"
    switch verdict {
    case .used:
      return "The pictures are used: with another picture \(metric) falls from \(right) to \(other) "
        + "(by \(number(drop.value)), \(interval))."
    case .hardlyUsed:
      return
        "The pictures are hardly used: with another picture the right answers are less likely, but what the model says "
        + "is about as good (\(metric) \(right) and \(other); difference \(interval))."
    case .notUsed:
      return
        "The pictures are NOT used, as far as \(records) records show: with another picture \(metric) is \(other), with the "
        + "right one \(right) (difference \(number(drop.value)), \(interval)). The model answers from the words alone."
    }
  }

  /// A table for the terminal: a row for each view.
  public var table: String {
    func row(_ name: String, _ cells: [String]) -> String {
      name.padding(toLength: 26, withPad: " ", startingAt: 0)
        + cells.map { cell in
          String(repeating: " ", count: max(1, 14 - cell.count)) + cell
        }.joined()
    }
    return
      ([row("is the picture used?", [metric, "loss/token"])]
      + views.map { row($0.key.phrase, [number($0.value.metric.main()), number($0.value.loss.main())]) })
      .joined(separator: "\n")
  }

  public var json: JSON {
    var members: OrderedDictionary<String, JSON> = [
      "records": .integer(records), "left_out": .integer(leftOut), "metric": .string(metric),
    ]
    for (view, shown) in views {
      members[view.rawValue] = .object(
        shown.metric.figures().merging(shown.loss.figures()) { $1 }.mapValues(JSON.number))
    }
    members["drop"] = .number(drop.value)
    members["drop_interval"] = drop.json
    members["loss_rise"] = .number(lossRise.value)
    members["loss_rise_interval"] = lossRise.json
    members["verdict"] = .string(verdict.rawValue)
    return .object(members)
  }

  private func number(_ value: Double) -> String { String(format: "%.3f", value) }
}
