import Batching
import Datasets
import Ground
import Metrics
import Models
import OrderedCollections
import Parallel
import Tensors

/// How well a model answers the questions of a data set.
public struct ConversationEvaluation: Sendable {
  /// What one record's question was, and what the model said.
  public struct Asked: Sendable {
    /// The number of the record.
    public let index: Int
    public let question: String
    public let images: [String]
    public let references: [String]
    public let prediction: String
    public let isWhole: Bool
  }

  /// Of the records' own answers; nil where nothing asked for it.
  public let losses: [LossEvaluation.SampleLoss]?
  /// Nil where no metric looks at generated texts.
  public let asked: [Asked]?
  public let measurements: [Measurement]
  /// How many records there are.
  public let count: Int

  /// Evaluates all records; the ranks share them, and every rank gets the whole result.
  ///
  /// What is found of a record does not depend on the others, nor on how many ranks and threads there are.
  /// - Parameters: `answering`: what asks the questions, where metrics look at texts.
  ///   `progress` is told of this rank's share: what is done, how much of how much.
  public init(
    of model: MultimodalModel, _ questions: QuestionSet, _ metrics: MetricList, answering: Answering,
    features: FeatureCache? = nil, _ communicator: any Communicator, _ backend: any Backend,
    progress: (_ what: String, _ done: Int, _ all: Int) -> Void = { _, _, _ in }
  ) throws {
    count = questions.count
    let texts = metrics.ofTexts.isEmpty ? [] : try (0..<questions.count).map(questions.unanswered)
    // References that do not fit a metric are told before the work, not after it.
    _ = try metrics.measurements(nil, texts.map { $0.answer("") })
    losses =
      metrics.wantsLoss
      ? try LossEvaluation(of: model, questions, features: features, communicator, backend) {
        progress("loss", $0, $1)
      }.samples : nil
    guard !texts.isEmpty else {
      asked = nil
      measurements = try metrics.measurements(losses, nil)
      return
    }
    let replies = try answering(questions, communicator) { progress("answers", $0, $1) }
    asked = zip(texts, replies).map { text, reply in
      Asked(
        index: text.index, question: text.question.text, images: text.question.images.map(\.name),
        references: text.question.references, prediction: reply.text, isWhole: reply.isWhole)
    }
    measurements = try metrics.measurements(losses, zip(texts, replies).map { $0.answer($1.text) })
  }

  /// The figures of some records, nil: of all.
  public func figures(_ records: [Int]? = nil) -> OrderedDictionary<String, Double> {
    measurements.reduce(into: [:]) { $0.merge($1.figures(records)) { $1 } }
  }

  /// How many answers had no room to come to their end.
  public var cutOff: Int { asked?.count { !$0.isWhole } ?? 0 }
}

extension ConversationEvaluation {
  /// The report's `samples`: `index`, `nll` and `tokens`, and of generated texts the question, the answer, what was wanted,
  /// and every metric's main figure.
  public var sampleJSON: [JSON] {
    (0..<count).map { number in
      var members: OrderedDictionary<String, JSON> = [:]
      members["index"] = (losses?[number].index ?? asked?[number].index).map(JSON.integer)
      if let loss = losses?[number] {
        members["nll"] = .number(loss.nll)
        members["tokens"] = .integer(loss.tokens)
      }
      if let asked = asked?[number] {
        members["question"] = .string(asked.question)
        if !asked.images.isEmpty { members["images"] = .array(asked.images.map(JSON.string)) }
        members["prediction"] = .string(asked.prediction)
        members["references"] = .array(asked.references.map(JSON.string))
        if !asked.isWhole { members["cut_off"] = true }
        for measurement in measurements where measurement.isOfTexts {
          members[measurement.name] = .number(measurement.main(of: number))
        }
      }
      return .object(members)
    }
  }
}

extension ConversationEvaluation {
  /// Of each field of structured reports how often it was wanted, said and right, with precision, recall and F1; nil where
  /// `json_fields` is not measured.
  public func fieldTable() throws -> JSON? {
    guard let asked, measurements.contains(where: { $0.name == "json_fields" }) else { return nil }
    let answers = asked.map { Answer(prediction: $0.prediction, references: $0.references) }
    func part(_ some: Int, of all: Int) -> JSON { .number(all > 0 ? Double(some) / Double(all) : .nan) }
    return .object(
      try JSONFields.byField(answers).mapValues { field in
        [
          "wanted": .integer(field.wanted), "said": .integer(field.said), "right": .integer(field.right),
          "precision": part(field.right, of: field.said), "recall": part(field.right, of: field.wanted),
          "f1": part(2 * field.right, of: field.said + field.wanted),
        ]
      })
  }

  /// What fairness is about; nothing where no answers were asked for.
  /// - Parameter positive: the answers to look at; empty: as ``Outcome/ofAnswers(predictions:references:positive:)`` says.
  public func outcomes(positive: [String]) throws -> [Outcome] {
    guard let asked else {
      guard positive.isEmpty else {
        throw Fault(
          .usage, "without a metric of texts there are no answers", at: "--positive",
          "add one, as in --metrics exact_match"
        )
      }
      return []
    }
    return try Outcome.ofAnswers(
      predictions: asked.map(\.prediction), references: asked.map(\.references), positive: positive)
  }
}

extension QuestionSet {
  /// A question that has no answer yet.
  struct Unanswered {
    let index: Int
    let question: Question
    let place: String

    func answer(_ prediction: String) -> Answer {
      Answer(
        prediction: prediction, references: question.references, question: question.text, place: place,
        schema: question.schema)
    }
  }

  func unanswered(_ number: Int) throws -> Unanswered {
    let record = try record(number)
    return Unanswered(index: record.index, question: try record.question(), place: record.place)
  }
}
