import Adapters
import Batching
import Datasets
import Evaluation
import Foundation
import Ground
import Metrics
import Models
import OrderedCollections
import Parallel
import RunFile
import Tensors
import Training

/// What `mmdist eval` does with conversations.
struct ConversationExam {
  let adapted: AdaptedModel
  let inputs: ModelInputs
  let features: FeatureCache?
  let options: AnswerSettings
  let communicator: any Communicator
  let backend: any Backend

  private func questions(_ records: RecordSet) -> QuestionSet { QuestionSet(records, inputs.processor) }

  /// The figures of all records, and the same measured by `metrics` in place of those that are asked for.
  func evaluate(_ records: RecordSet, _ metrics: MetricList? = nil) throws -> ConversationEvaluation {
    let progress = EvaluationProgress(communicator)
    let found = try ConversationEvaluation(
      of: adapted.model, questions(records), metrics ?? options.list(),
      answering: options.answering(adapted, inputs, features, backend), features: features, communicator, backend,
      progress: progress.callAsFunction)
    if found.cutOff > 0 {
      say(communicator, "\(found.cutOff) of \(found.count) answers had no end after \(options.maxNewTokens) tokens")
    }
    return found
  }

  /// The whole report.
  /// - Parameter other: records to compare with.
  func report(_ records: RecordSet, _ more: EvaluationOptions, other: RecordSet?) throws -> JSON {
    let groups = try GroupColumns(more.groupBy, records: records.count) { try records.record($0).metadata }
    let found = try evaluate(records)
    var report: OrderedDictionary<String, JSON> = [:]
    var figures = found.figures().mapValues(JSON.number)
    if let losses = found.losses {
      let tokens = losses.reduce(0) { $0 + $1.tokens }
      figures.updateValue(.integer(tokens), forKey: "supervised_tokens", insertingAt: min(1, figures.count))
      say(
        communicator,
        "loss \(found.figures()["loss"] ?? found.figures()["perplexity"] ?? .nan) over \(tokens) tokens of \(found.count) records"
      )
    }
    report["metrics"] = .object(figures)
    if found.asked != nil || !more.groupBy.isEmpty { report["intervals"] = intervals(found) }
    for measurement in found.measurements where measurement.isOfTexts {
      for (name, value) in measurement.figures() { say(communicator, "\(name) \(fixed(value, 4))") }
    }
    let outcomes = more.groupBy.isEmpty ? [] : try found.outcomes(positive: more.positive)
    let split = groups.json(outcomes, communicator) { Groups($0, $1, found.measurements) }
    report.merge(split) { $1 }
    if let table = try found.fieldTable() { report["json_fields"] = table }
    if more.imageUse { report["image_use"] = try imageUse(records, found, more) }
    if let other { report["ood"] = try comparison(found, evaluate(other)) }
    report["samples"] = .array(groups.adding(to: found.sampleJSON))
    if let path = more.savePredictions, communicator.rank == 0 {
      try writeDurably(found.predictionLines, to: path)
    }
    return .object(report)
  }

  private func intervals(_ found: ConversationEvaluation) -> JSON {
    .object(found.measurements.reduce(into: [:]) { $0.merge($1.intervals().mapValues(\.json)) { $1 } })
  }

  private func imageUse(
    _ records: RecordSet, _ found: ConversationEvaluation, _ more: EvaluationOptions
  ) throws -> JSON {
    guard adapted.model.eyes != nil else {
      throw Fault(.usage, "this model sees no pictures", at: "--image-use", "leave --image-use out")
    }
    let metric = try options.list().ofTexts.first ?? MetricList.standard
    let hasTexts = found.measurements.contains { $0.name == metric.name }
    let progress = EvaluationProgress(communicator)
    let use = try ImageUse(
      of: adapted.model, questions(records), metric,
      answering: options.answering(adapted, inputs, features, backend), known: hasTexts ? found : nil,
      seed: more.imageSeed, features: features, communicator, backend, progress: progress.callAsFunction)
    say(communicator, use.table)
    say(communicator, use.sentence)
    return use.json
  }

  /// How much better the figures are on `found` than on `other`, which were drawn apart.
  private func comparison(_ found: ConversationEvaluation, _ other: ConversationEvaluation) -> JSON {
    var drops: OrderedDictionary<String, JSON> = [:]
    for (own, theirs) in zip(found.measurements, other.measurements) {
      guard let name = own.figures().keys.first else { continue }
      let sign: Double = own.isBetterWhenLess ? -1 : 1
      let drop = Bootstrap().intervals(counts: found.count, other.count, named: name) { here, there in
        [sign * (own.main(here) - theirs.main(there))]
      }[0]
      drops[name] = ["drop": .number(drop.value), "interval": drop.json]
      say(
        communicator,
        "\(name) \(fixed(own.main(), 4)) here, \(fixed(theirs.main(), 4)) on the other records: "
          + "\(drop.value >= 0 ? "worse" : "better") there by \(fixed(abs(drop.value), 4)), "
          + "95 % between \(fixed(drop.low, 4)) and \(fixed(drop.high, 4))")
    }
    return [
      "records": .integer(other.count), "metrics": .object(other.figures().mapValues(JSON.number)),
      "drop": .object(drops),
    ]
  }
}

extension ConversationEvaluation {
  /// `{"index", "question", "images", "prediction", "references"}`, one line for each record.
  fileprivate var predictionLines: String {
    (asked ?? []).reduce(into: "") { text, asked in
      let line: JSON = [
        "index": .integer(asked.index), "question": .string(asked.question),
        "images": .array(asked.images.map(JSON.string)), "prediction": .string(asked.prediction),
        "references": .array(asked.references.map(JSON.string)),
      ]
      text += line.description + "\n"
    }
  }
}
