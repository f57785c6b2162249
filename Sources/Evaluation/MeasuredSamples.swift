import Datasets
import Foundation
import Ground
import Metrics
import OrderedCollections

/// The samples of an evaluation's report, from which its figures can be made again for any of them.
///
/// Of answers every metric of texts; of losses `loss` and `perplexity`; of labels what ``LabelScores`` and
/// ``LabelSetScores`` say, or `mean_absolute_error`; of places the shares among the first 1, 5 and 10.
public struct MeasuredSamples {
  /// A metric: its figures of any samples, the main one first, and the main one of each sample.
  struct Metric {
    let name: String
    /// The names of its figures.
    let figures: [String]
    let draw: ([Int]) -> [Double]
    let scores: [Double]
  }

  let samples: [JSON]
  let metrics: [Metric]
  /// Where they came from, for messages.
  let file: String

  /// - Throws: `Fault(.badData)` for what is no report of an evaluation, or where a sample is not like the others.
  public init(_ report: JSON, at file: String) throws {
    guard let samples = report["samples"]?.array, report["metrics"]?.object != nil else {
      throw Fault(.badData, "no report of mmdist eval: 'metrics' and 'samples' are wanted", at: file, "name its report")
    }
    (self.samples, self.file) = (samples, file)
    let names = report["metrics"]?.object.map { Array($0.keys) } ?? []
    let reader = SampleReader(samples: samples, file: file)
    var found = try reader.losses(names) + reader.answers() + reader.places()
    found += try reader.labels(report["labels"]?.array?.compactMap(\.string) ?? [])
    metrics = found
  }
}

/// Makes the metrics of samples out of their members.
private struct SampleReader {
  typealias Metric = MeasuredSamples.Metric
  let samples: [JSON]
  let file: String

  private func has(_ key: String) -> Bool { samples.first?[key] != nil }

  /// A member of every sample.
  private func all<Value>(_ key: String, _ value: (JSON) -> Value?) throws -> [Value] {
    try samples.enumerated().map { number, sample in
      guard let found = sample[key].flatMap(value) else {
        throw Fault(
          .badData, "sample \(number + 1) has no '\(key)' like the first", at: file,
          "restore the report, or make it again")
      }
      return found
    }
  }

  private static func sums(
    _ name: String, _ figures: [String], _ rows: [Tally], _ figure: @escaping (Tally) -> [Double]
  ) -> Metric {
    let width = rows.first?.count ?? 0
    let draw = { (records: [Int]) in
      var total = Tally(repeating: 0, count: width)
      for record in records { for column in 0..<width { total[column] += rows[record][column] } }
      return figure(total)
    }
    return Metric(name: name, figures: figures, draw: draw, scores: rows.indices.map { draw([$0]).first ?? .nan })
  }

  private static func mean(_ name: String, _ scores: [Double]) -> Metric {
    sums(name, [name], scores.map { [$0, 1] }) { $0.count == 2 ? [$0[0] / $0[1]] : [.nan] }
  }

  func losses(_ names: [String]) throws -> [Metric] {
    if has("loss") { return [SampleReader.mean("loss", try all("loss", \.double))] }
    guard has("nll"), has("tokens") else { return [] }
    let rows = try zip(all("nll", \.double), all("tokens", \.double)).map { [$0, $1] }
    func loss(_ total: Tally) -> Double { total.count == 2 && total[1] > 0 ? total[0] / total[1] : 0 }
    return
      (names.contains("loss") ? [SampleReader.sums("loss", ["loss"], rows) { [loss($0)] }] : [])
      + (names.contains("perplexity")
        ? [SampleReader.sums("perplexity", ["perplexity"], rows) { [exp(loss($0))] }] : [])
  }

  func answers() throws -> [Metric] {
    guard has("references") else { return [] }
    let answers = try zip(all("prediction", \.string), all("references", \.array)).enumerated().map { number, pair in
      Answer(
        prediction: pair.0, references: pair.1.compactMap(\.string), question: samples[number]["question"]?.string,
        place: "\(file), sample \(number + 1)")
    }
    return try (samples.first?.object ?? [:]).keys.compactMap { name in
      guard let metric = textMetrics[name] else {
        // What was judged by a schema that the report does not hold: the mean of what it says of each.
        return try name == "json_schema" ? SampleReader.mean(name, all(name, \.double)) : nil
      }
      let rows = try metric.tallies(answers)
      let names = Array(metric.figures(Tally(repeating: 0, count: metric.width)).keys)
      return SampleReader.sums(name, names, rows) { Array(metric.figures($0).values) }
    }
  }

  func places() throws -> [Metric] {
    let first = [1, 5, 10]
    return try ["image_to_text", "text_to_image"].flatMap { key -> [Metric] in
      guard has(key) else { return [] }
      let places = try all(key) { ($0.array ?? [$0]).map { $0.double ?? .nan } }
      return first.map { most in
        let rows = places.map { own in [Double(own.count { $0 <= Double(most) }), Double(own.count)] }
        let name = "\(key)_r\(most)"
        return SampleReader.sums(name, [name], rows) { $0.count == 2 ? [$0[0] / $0[1]] : [.nan] }
      }
    }
  }

  func labels(_ names: [String]) throws -> [Metric] {
    guard has("label") else { return [] }
    guard has("logits") else {
      let (labels, said) = (try all("label", \.string), try all("prediction", \.string))
      return [SampleReader.mean("accuracy", zip(labels, said).map { $0 == $1 ? 1 : 0 })]
    }
    let logits = try all("logits") { $0.array.map { $0.map { $0.double ?? .nan } } }
    let numbers = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    guard logits.allSatisfy({ $0.count == names.count }) else {
      throw Fault(.badData, "as many 'logits' as 'labels' are wanted", at: file, "restore the report")
    }
    let problem: LabelProblem
    var targets: [[Double]]
    if samples[0]["label"]?.string != nil {
      problem = .singleLabel
      targets = try all("label") { label in label.string.flatMap { numbers[$0] }.map { [Double($0)] } }
    } else if try all("label", \.array).contains(where: { $0.contains { $0.string != nil } }) {
      problem = .multiLabel
      targets = try all("label", \.array).map { own in
        let own = Set(own.compactMap(\.string))
        return names.map { own.contains($0) ? 1 : 0 }
      }
    } else {
      problem = .regression
      targets = try all("label", \.array).map { $0.map { $0.double ?? .nan } }
      guard targets.allSatisfy({ $0.count == names.count }) else {
        throw Fault(.badData, "as many numbers in 'label' as 'labels' are wanted", at: file, "restore the report")
      }
    }
    let results = samples.indices.map {
      LabelEvaluation.SampleResult(index: $0, loss: 0, logits: logits[$0], target: targets[$0])
    }
    let evaluation = LabelEvaluation(labels: LabelSet(names, problem), samples: results)
    let draws = evaluation.draws
    // The loss stands in the samples.
    let figures = draws([]).keys.dropFirst()
    let main = problem == .regression ? "mean_absolute_error" : problem == .multiLabel ? "exact_match" : "accuracy"
    let scores = samples.indices.map { draws([$0])[main] ?? .nan }
    return [
      Metric(name: main, figures: Array(figures), draw: { Array(draws($0).values.dropFirst()) }, scores: scores)
    ]
  }
}
