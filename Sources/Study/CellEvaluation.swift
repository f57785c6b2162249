import Batching
import Datasets
import Evaluation
import Ground
import Metrics
import OrderedCollections
import Parallel
import RunFile
import Tensors
import Training

/// The figures of a trained model on the validation data of its run.
struct CellEvaluation {
  let figures: OrderedDictionary<String, Double>
  let main: [String]
  let intervals: OrderedDictionary<String, Interval>
  let records: Int

  /// What is measured of records with labels, whatever is asked for.
  static let ofLabels = [
    "loss", "accuracy", "balanced_accuracy", "exact_match", "micro_f1", "macro_f1", "auroc", "calibration_error",
    "mean_absolute_error", "pearson",
  ]

  init(_ training: TrainingRun, _ study: StudyConfiguration, _ communicator: any Communicator) throws {
    let configuration = training.configuration
    let data = configuration.runStages[configuration.runStages.count - 1].data
    let (adapted, backend) = (training.adapted, training.backend)
    let open = try OpenData(
      data.validation, at: "data.validation", reading: configuration.labelContent(for: adapted.folder),
      cache: configuration.cacheFolder)
    try open.requireSame(on: communicator)
    switch open {
    case .conversations(let all):
      guard var inputs = training.inputs else { throw CellEvaluation.mixed }
      inputs.processor.augmentation = nil  // held-out pictures are seen as they are
      let metrics = try MetricList(study.metrics, at: "metrics", .badConfiguration)
      let ends = try endTokens(modelFolder: adapted.folder.path, inputs.tokenizer, inputs.template)
      let found = try ConversationEvaluation(
        of: adapted.model, QuestionSet(all, inputs.processor).spread(study.samples), metrics,
        answering: Answering(
          adapted.model, inputs.tokenizer, endTokens: ends, maxNewTokens: study.maxNewTokens,
          features: training.features, backend), features: training.features, communicator, backend)
      figures = found.figures()
      main = found.measurements.compactMap { $0.figures().keys.first }
      intervals = found.measurements.reduce(into: [:]) { intervals, measurement in
        guard let name = measurement.figures().keys.first else { return }
        intervals[name] = measurement.intervals()[name]
      }
      records = found.count
    case .labelled:
      guard let labels = training.labels else { throw CellEvaluation.mixed }
      let samples = try RunData(adapted.folder, labels: labels).samples(
        of: open, adapted.model, nil, maxLength: data.maxLength)
      guard let labelled = samples as? LabelledSamples else { throw CellEvaluation.mixed }
      let states = configuration.stateCache(for: adapted, labelled, backend) { _ in }
      let found = try LabelEvaluation(
        of: adapted.model, labelled.keeping(states?.store), states: states, communicator, backend)
      states?.store?.finish()
      (figures, intervals) = (found.metrics, [:])
      let asked = study.metrics.filter { found.metrics[$0] != nil }
      main = asked.isEmpty ? Array(found.metrics.keys.prefix(2)) : asked
      records = found.samples.count
    case .pairs:
      throw Fault(
        .badConfiguration, "studies do not measure pictures with captions", at: "data.validation",
        "use mmdist eval on the cells' checkpoints, with keep_checkpoints: true")
    }
  }

  private static var mixed: Fault {
    Fault(
      .badConfiguration, "the validation data are of another kind than the training data", at: "data.validation",
      "validate on what is trained on")
  }
}

extension StudyConfiguration {
  /// What is measured, as text: a cell that was measured otherwise is measured again.
  var asked: String { "\(metrics.joined(separator: ",")) samples=\(samples) max_new_tokens=\(maxNewTokens)" }

  /// - Throws: `Fault(.badConfiguration)` for a metric that is not known.
  func checkMetrics() throws {
    _ = try MetricList(
      metrics.filter { !CellEvaluation.ofLabels.contains($0) }, at: "metrics", .badConfiguration)
  }
}
