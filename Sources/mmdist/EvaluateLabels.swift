import Datasets
import Evaluation
import Foundation
import Ground
import OrderedCollections
import Parallel

/// The report of `mmdist eval` on records with labels; its figures are shown too.
func labelReport(
  _ found: LabelEvaluation, _ records: LabelledSet, _ more: EvaluationOptions, _ communicator: any Communicator
) throws -> JSON {
  let groups = try GroupColumns(more.groupBy, records: records.count) { try records.record($0).metadata }
  let measure = found.measure
  let (figures, intervals) = measure(Array(found.samples.indices), "")
  say(
    communicator,
    figures.map { "\($0.key) \($0.value)" }.joined(separator: ", ") + " over \(found.samples.count) records")
  var report: OrderedDictionary<String, JSON> = [
    "metrics": .object(figures.mapValues(JSON.number)),
    "intervals": .object(intervals.mapValues(\.json)),
    "labels": .array(found.labels.names.map(JSON.string)),
  ]
  let outcomes = more.groupBy.isEmpty ? [] : try found.outcomes(positive: more.positive)
  let split = groups.json(outcomes, communicator) { column, values in Groups(column, values, figures: measure) }
  report.merge(split) { $1 }
  report["samples"] = .array(
    groups.adding(
      to: try found.sampleJSON.enumerated().map { number, sample in
        try shown(sample, of: records.record(number))
      }))
  return .object(report)
}

/// A sample of the report with what its record shows.
private func shown(_ sample: JSON, of record: LabelledRecord) throws -> JSON {
  var sample = sample
  let text = [record.text, record.pair ?? ""].filter { !$0.isEmpty }.joined(separator: "\n")
  if !text.isEmpty { sample = sample.setting("text", to: .string(text)) }
  if !record.images.isEmpty {
    sample = sample.setting("images", to: .array(record.images.map { .string($0.name) }))
  }
  return sample
}
