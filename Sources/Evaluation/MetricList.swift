import Ground
import Metrics
import OrderedCollections

/// What is to be measured on conversations, as `--metrics` and the run file name it.
public struct MetricList: Sendable {
  /// In the order in which they were named.
  public let names: [String]
  /// What `json_schema` judges by where a record has no schema of its own.
  private let schema: JSONSchema?

  /// Every name there is.
  public static let known: [String] = ["loss", "perplexity"] + textMetrics.keys + ["json_schema"]

  /// - Throws: `Fault(.usage)` for a name that is not known, with the nearest one.
  public init(
    _ names: [String], at place: String, _ kind: Fault.Kind = .usage, schema: JSONSchema? = nil
  ) throws {
    for name in names where !Self.known.contains(name) {
      throw Fault(
        kind, "metric '\(name)' is not known\(didYouMean(name, among: Self.known))", at: place,
        "use \(Self.known.joined(separator: ", "))")
    }
    self.names = Array(OrderedSet(names))
    self.schema = schema
  }

  /// The metric of texts of that name; nil where it is of losses.
  private func ofTexts(_ name: String) -> (any TextMetric)? {
    name == "json_schema" ? JSONSchemaMatch(schema) : textMetrics[name]
  }

  /// What texts are measured by where nothing else is named.
  public static var standard: any TextMetric { ExactMatch() }

  /// The names of all figures.
  public var figures: [String] {
    names.flatMap { name in
      ofTexts(name).map { Array($0.figures(Tally(repeating: 0, count: $0.width)).keys) } ?? [name]
    }
  }

  /// Those that look at generated texts.
  public var ofTexts: [any TextMetric] { names.compactMap { ofTexts($0) } }
  /// Whether the likelihood of the records' own answers is asked for.
  public var wantsLoss: Bool { names.contains("loss") || names.contains("perplexity") }

  /// A measurement for each name.
  func measurements(_ losses: [LossEvaluation.SampleLoss]?, _ answers: [Answer]?) throws -> [Measurement] {
    try names.compactMap { name in
      switch name {
      case "loss": return losses.map(Measurement.loss)
      case "perplexity": return losses.map(Measurement.perplexity)
      default:
        guard let metric = ofTexts(name), let answers else { return nil }
        return try Measurement(metric, answers)
      }
    }
  }
}
