import Adapters
import Datasets
import Evaluation
import Ground
import Models
import Parallel
import RunFile
import Tensors
import Training

/// What `mmdist eval` measures of a dual encoder: retrieval both ways, or zero-shot classification.
struct PairEvaluation {
  static let metrics = ["retrieval", "zero_shot"]
  let report: JSON
  /// The figures in one line.
  let summary: String
  /// The records that were left out.
  let skipped: SkippedRecords

  /// - Parameters:
  ///   - metrics: those asked for; anything but `zero_shot` is retrieval.
  ///   - classes: a file of class names and templates.
  init(
    _ adapted: AdaptedModel, _ sources: [DataSource], _ metrics: [String], classes: String?, _ data: DataConfiguration,
    cache: CacheFolder, _ communicator: any Communicator, _ backend: any Backend
  ) throws {
    let space = try SharedSpace(adapted.folder, adapted.model, maxLength: data.maxLength, backend)
    func opened(_ column: (DataSource) -> String) throws -> PairSet {
      PairSet(
        try sources.map { source in
          try PairSource(
            DataFile(source.path, dataset: source.dataset, cache: cache), images: source.images, text: column(source))
        })
    }
    let wanted = PairEvaluation.metrics.filter { metrics.contains($0) || metrics == ["loss"] && $0 == "retrieval" }
    let processor = try PairProcessor(adapted.folder, adapted.model, maxLength: data.maxLength)
    // Records that one of the metrics cannot take are taken by none, so that both are of the same.
    var faults: [Int: RecordFault] = [:]
    var count = 0
    for metric in wanted {
      let pairs = try opened(metric == "retrieval" ? \.text : \.label)
      try OpenData.pairs(pairs).requireSame(on: communicator)
      let samples = PairSamples(pairs, processor, decodes: true)
      count = samples.count
      for fault in try faultyRecords(
        samples, data.onError, communicator, threads: ThreadCount(communicator).threads)
      where faults[fault.index] == nil {
        faults[fault.index] = fault
      }
    }
    let skipped = SkippedRecords(faults: faults.values.sorted { $0.index < $1.index }, count: count)
    self.skipped = skipped
    func records(_ column: (DataSource) -> String) throws -> PairSet { try opened(column).without(skipped.faults) }
    var reports: [(JSON, String)] = []
    for metric in wanted {
      if metric == "retrieval" {
        let found = try RetrievalEvaluation(space, records(\.text), communicator, backend)
        reports.append((found.json, "of \(found.pictures) pictures and \(found.captions) captions"))
      } else {
        let prompts = try classes.map { try ClassPrompts(contentsOf: $0) }
        let found = try ZeroShotEvaluation(space, records(\.label), prompts, communicator, backend)
        reports.append((found.json, "of \(found.samples.count) pictures in \(found.classes.count) classes"))
      }
    }
    summary = reports.map { json, what in
      (json["metrics"]?.object ?? [:]).map { "\($0.key) \($0.value)" }.joined(separator: ", ") + " " + what
    }.joined(separator: "; ")
    report = reports.dropFirst().reduce(reports[0].0) { PairEvaluation.joined($0, $1.0) }
  }

  /// Two reports of the same records as one: the members of both, figures and samples joined.
  private static func joined(_ a: JSON, _ b: JSON) -> JSON {
    switch (a, b) {
    case (.object(let first), .object(let second)): .object(first.merging(second, uniquingKeysWith: joined))
    case (.array(let first), .array(let second)): .array(zip(first, second).map(joined))
    default: a
    }
  }
}
