import Adapters
import ArgumentParser
import Batching
import Evaluation
import Foundation
import Ground
import Metrics
import Models
import OrderedCollections
import Parallel
import RunFile
import Tensors
import Tokenizers

/// What is measured on conversations, and how a model's answers to them are written.
struct AnswerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What to measure, separated by commas: \(MetricList.known.joined(separator: ", ")); of CLIP and SigLIP "
        + "\(PairEvaluation.metrics.joined(separator: ", ")).", valueName: "loss,…"))
  var metrics = "loss"
  @Option(help: ArgumentHelp("The most tokens of an answer.", valueName: "N")) var maxNewTokens = 64
  @Option(help: ArgumentHelp("Answers that are written together; the answers do not depend on it.", valueName: "N"))
  var together = 32
  @Option(help: ArgumentHelp("A JSON schema that every answer is held to.", valueName: "FILE")) var jsonSchema: String?
  @Option(
    help: ArgumentHelp(
      "A JSON schema by which the metric json_schema judges answers that are free; default: that of --json-schema; a "
        + "record's own \"json_schema\" comes first.", valueName: "FILE"))
  var matchSchema: String?

  func validate() throws {
    try checkNewTokens(maxNewTokens)
    guard !names.isEmpty else { throw ValidationError("--metrics names none; give one, such as loss") }
    do { _ = try MetricList(names.filter { !PairEvaluation.metrics.contains($0) }, at: "--metrics") } catch let fault
      as Fault
    {
      throw ValidationError(fault.what)
    }
    guard matchSchema == nil || names.contains("json_schema") else {
      throw ValidationError("--match-schema is of the metric json_schema: add it to --metrics")
    }
    guard together > 0 else { throw ValidationError("--together is \(together); give 1 or more") }
  }

  var names: [String] {
    metrics.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
  }

  /// Whether any metric looks at what the model says.
  var asksForAnswers: Bool {
    names.contains { !["loss", "perplexity"].contains($0) && !PairEvaluation.metrics.contains($0) }
  }

  var settings: AnswerSettings {
    AnswerSettings(
      metrics: names, maxNewTokens: maxNewTokens, together: together, jsonSchema: jsonSchema, matchSchema: matchSchema)
  }
}

/// - Throws: `ValidationError` for a number of new tokens that no text can have.
func checkNewTokens(_ count: Int, least: Int = 1) throws {
  guard (least...Most.tokens).contains(count) else {
    throw ValidationError("--max-new-tokens is \(count); give \(least) to \(Most.tokens)")
  }
}

/// What ``AnswerOptions`` say, for commands that have options of their own.
struct AnswerSettings {
  var metrics: [String]
  var maxNewTokens: Int
  var together = TextGenerator.Limits().texts
  var jsonSchema: String?
  /// What `json_schema` judges by; nil: `jsonSchema`.
  var matchSchema: String?

  /// What conversations are measured by.
  func list() throws -> MetricList {
    let schema =
      metrics.contains("json_schema")
      ? try (matchSchema ?? jsonSchema).map { try JSONSchema(JSON(contentsOf: $0), at: $0) } : nil
    return try MetricList(metrics, at: "--metrics", schema: schema)
  }

  func answering(
    _ adapted: AdaptedModel, _ inputs: ModelInputs, _ features: FeatureCache?, _ backend: any Backend
  ) throws -> Answering {
    let ends = try endTokens(modelFolder: adapted.folder.path, inputs.tokenizer, inputs.template)
    let grammar = try jsonSchema.map {
      try JSONGrammar(AnswerSchema(JSON(contentsOf: $0), at: $0), inputs.tokenizer, endTokens: ends)
    }
    var limits = TextGenerator.Limits()
    limits.texts = together
    return Answering(
      adapted.model, inputs.tokenizer, endTokens: ends, maxNewTokens: maxNewTokens, grammar: grammar, limits: limits,
      features: features, backend)
  }
}

/// What more is asked of an evaluation on conversations.
struct EvaluationOptions: ParsableArguments {
  @Flag(help: "Also ask with other pictures, blank ones and none: is the picture used?") var imageUse = false
  @Option(help: ArgumentHelp("Of the exchange of pictures.", valueName: "N")) var imageSeed: UInt64 = 0
  @Option(
    help: ArgumentHelp(
      "Figures by the values of a column of the records; may be given several times.", valueName: "COLUMN"))
  var groupBy: [String] = []
  @Option(
    help: ArgumentHelp(
      "What fairness between the groups looks at: a label, or an answer; may be given several times; default: of two "
        + "labels the second, of yes and no yes, else each against all others.", valueName: "VALUE"))
  var positive: [String] = []
  @Option(help: ArgumentHelp("Other records, on which the figures are compared with these.", valueName: "FILE"))
  var ood: String?
  @Option(help: ArgumentHelp("Folder of those records' images; default: the file's own.", valueName: "DIR"))
  var oodImages: String?
  @Option(
    help: ArgumentHelp(
      "A bound, as in \"vqa>=0.6\"; exit code 65 when it is not kept; may be given several times.", valueName: "BOUND"))
  var require: [String] = []
  @Option(help: ArgumentHelp("Questions and answers, as JSON Lines.", valueName: "FILE")) var savePredictions: String?

  func validate() throws {
    guard positive.isEmpty || !groupBy.isEmpty else {
      throw ValidationError("--positive is about groups: give --group-by too")
    }
  }

  /// - Throws: `Fault(.usage)` for what is no requirement, or cannot be found this way.
  func requirements() throws -> [Requirement] {
    let all = try require.map(Requirement.init(parsing:))
    if groupBy.isEmpty, let first = all.first(where: { $0.figure.hasPrefix("fairness.") }) {
      throw Fault(
        .usage, "fairness is between groups, and none are named", at: "\(first)", "name their column by --group-by")
    }
    return all
  }
}

/// The values of the columns that `--group-by` names, one for each record.
struct GroupColumns {
  let columns: [(name: String, values: [JSON?])]

  /// - Parameter metadata: of a record, the members that its layout does not use.
  /// - Throws: `Fault(.usage)` for a column that no record has.
  init(_ names: [String], records: Int, metadata: (Int) throws -> JSON) throws {
    var values = [[JSON?]](repeating: [], count: names.count)
    for record in 0..<(names.isEmpty ? 0 : records) {
      let own = try metadata(record)
      for (number, name) in names.enumerated() { values[number].append(own.value(at: name)) }
    }
    for (name, values) in zip(names, values) where values.allSatisfy({ $0 == nil }) {
      throw Fault(.usage, "no record has a column '\(name)'", at: "--group-by", "name a member of the records")
    }
    columns = Array(zip(names, values))
  }

  /// The report's `groups` and, where there are outcomes, `fairness`; both are shown too.
  func json(
    _ outcomes: [Outcome], _ communicator: any Communicator, split: (String, [JSON?]) -> Groups
  ) -> OrderedDictionary<String, JSON> {
    guard !columns.isEmpty else { return [:] }
    var members: OrderedDictionary<String, JSON> = [:]
    members["groups"] = .object(
      OrderedDictionary(
        columns.map { name, values in
          let split = split(name, values)
          say(communicator, split.table)
          return (name, split.json)
        }, uniquingKeysWith: { $1 }))
    guard !outcomes.isEmpty else { return members }
    let fairness = columns.map { GroupFairness($0.name, $0.values, outcomes) }
    for line in fairness.flatMap(\.lines) { say(communicator, line) }
    members["fairness"] = GroupFairness.json(fairness)
    return members
  }

  /// A sample of the report with its groups: `{…, "groups": {"sex": "f"}}`.
  func adding(to samples: [JSON]) -> [JSON] {
    guard !columns.isEmpty else { return samples }
    return samples.enumerated().map { number, sample in
      let groups = columns.map { ($0.name, JSON.string(Groups.text($0.values[number]))) }
      return sample.setting("groups", to: .object(OrderedDictionary(groups, uniquingKeysWith: { $1 })))
    }
  }
}

/// Shows how far an evaluation has come: on a terminal on one line, in a file every tenth.
final class EvaluationProgress {
  private let isShown: Bool
  private let isTerminal = Console.showsTerminal
  private var (lastDrawn, lastTenth, lineIsOpen) = (0.0, 0, false)
  private var present = ""

  init(_ communicator: any Communicator) { isShown = communicator.rank == 0 }

  func callAsFunction(_ what: String, _ done: Int, _ all: Int) {
    guard isShown, all > 0 else { return }
    if what != present { (present, lastTenth) = (what, 0) }
    if isTerminal {
      let now = Date().timeIntervalSinceReferenceDate
      guard now - lastDrawn > 0.2 || done == all else { return }
      lastDrawn = now
      say("\r\u{1B}[K\(what): \(done) of \(all)", on: STDOUT_FILENO)
      lineIsOpen = true
      if done == all { close() }
    } else if all >= 100, done * 10 / all > lastTenth {
      lastTenth = done * 10 / all
      printLine("\(what): \(done) of \(all)")
    }
  }

  private func close() {
    if lineIsOpen { printLine("") }
    lineIsOpen = false
  }
}
