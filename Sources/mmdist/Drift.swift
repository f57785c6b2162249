import Adapters
import ArgumentParser
import Batching
import Datasets
import Evaluation
import Foundation
import Ground
import Metrics
import OrderedCollections
import Parallel
import Tensors
import Tokenizers

/// How far embeddings and answers move between two data sets or two sets of weights.
struct Drift: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "How far embeddings and answers move between two data sets or two checkpoints.",
    discussion: """
      Two data sets as one model sees them, or one data set as two sets of weights see it: base, a checkpoint of the run \
      file, or a PEFT adapter.

        mmdist drift -c run.yaml --weights run/adapter --data last-year.jsonl --other-data today.jsonl --output drift.json
        mmdist drift -c run.yaml --weights base --other-weights run/adapter --data val.jsonl --output drift.json

      Embeddings: Fréchet distance, maximum mean discrepancy, cosine of the means. Answers: how differently they are spread \
      and, to the same questions, how many changed. With "--require frechet_distance<=10" it ends with 65.
      """)

  @OptionGroup var runFile: RunFileOptions
  @Option(help: ArgumentHelp("base, a checkpoint, or an adapter.", valueName: "base|DIR")) var weights = "base"
  @Option(help: ArgumentHelp("What to compare these weights with.", valueName: "base|DIR")) var otherWeights: String?
  @Option(help: ArgumentHelp("Conversations.", valueName: "FILE")) var data: String
  @Option(help: ArgumentHelp("Conversations to compare them with.", valueName: "FILE")) var otherData: String?
  @Option(help: ArgumentHelp("Folder of the images of both; default: each file's own.", valueName: "DIR"))
  var images: String?
  @Option(help: ArgumentHelp("What is embedded: vision, projector or language.", valueName: "PART")) var part =
    "language"
  @Option(help: ArgumentHelp("The most tokens of an answer; 0: no answers are asked for.", valueName: "N"))
  var maxNewTokens = 16
  @Option(
    help: ArgumentHelp("A bound, as in \"disagreement<=0.1\"; exit code 65 when it is not kept.", valueName: "BOUND"))
  var require: [String] = []
  @Option(help: ArgumentHelp("Where the report goes.", valueName: "report.json")) var output: String

  func validate() throws {
    try checkNewTokens(maxNewTokens, least: 0)
    guard EmbeddingRequest.Part(rawValue: part) != nil else {
      throw ValidationError(
        "--part \(part) is not known; use \(EmbeddingRequest.Part.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    guard (otherWeights == nil) != (otherData == nil) else {
      throw ValidationError("give --other-data or --other-weights, one of the two")
    }
  }

  func run() throws {
    try withWorld { communicator in
      let configuration = try runFile.require()
      let requirements = try require.map(Requirement.init(parsing:))
      let records = try openConversations(data, images: images, at: "--data", communicator)
      let others =
        try otherData.map { try openConversations($0, images: images, at: "--other-data", communicator) } ?? records
      let first = try ChosenWeights(weights, at: "--weights")
      let second = try otherWeights.map { try ChosenWeights($0, at: "--other-weights") }
      if communicator.rank == 0 { try prepareReport(output) }
      let backend = try CPUBackend(threads: ThreadCount(communicator).threads)
      func look(_ weights: ChosenWeights, _ sets: [RecordSet]) throws -> [(embeddings: Embeddings, answers: [String])] {
        let (adapted, inputs, features) = try weights.load(configuration, communicator, backend)
        defer { features?.store.finish() }
        return try sets.map { records in
          let questions = QuestionSet(records, inputs.processor)
          var answers: [String] = []
          if maxNewTokens > 0 {
            let options = AnswerSettings(metrics: [], maxNewTokens: maxNewTokens)
            let progress = EvaluationProgress(communicator)
            answers = try options.answering(adapted, inputs, features, backend)(questions, communicator) {
              progress("answers", $0, $1)
            }.map(\.text)
          }
          // Embedders look at pictures themselves.
          var plain = inputs.processor
          plain.features = nil
          return (try embeddings(of: QuestionSet(records, plain), adapted, communicator, backend), answers)
        }
      }
      let found = try second.map { try look(first, [records]) + look($0, [records]) } ?? look(first, [records, others])
      let drift = EmbeddingDrift(from: found[0].embeddings, to: found[1].embeddings)
      var figures = drift.figures
      if maxNewTokens > 0 {
        let answers = AnswerDrift(
          from: found[0].answers, to: found[1].answers, areOfSameQuestions: otherWeights != nil)
        figures.merge(answers.figures) { $1 }
      }
      for (name, value) in figures { say(communicator, "\(name) \(fixed(value, 4))") }
      let report: JSON = [
        "part": .string(part), "data": [.string(data), .string(otherData ?? data)],
        "weights": [.string(weights), .string(otherWeights ?? weights)],
        "records": [.integer(records.count), .integer(others.count)],
        "metrics": .object(figures.mapValues(JSON.number)),
      ]
      if communicator.rank == 0 { try writeDurably(report.indented, to: output) }
      try Requirement.check(requirements, figures)
      return 0
    }
  }

  /// The mean of the last layer over each record, or over each of its pictures.
  private func embeddings(
    of questions: QuestionSet, _ adapted: AdaptedModel, _ communicator: any Communicator, _ backend: any Backend
  ) throws -> Embeddings {
    let request = EmbeddingRequest(part: EmbeddingRequest.Part(rawValue: part) ?? .language, layer: nil, pool: .mean)
    let embedder = try Embedder(adapted.model, request, backend)
    let progress = EvaluationProgress(communicator)
    var own: [Float] = []
    let mine = share(of: questions.count, rank: communicator.rank, of: communicator.count)
    for (done, number) in mine.enumerated() {
      for row in try embedder.rows(questions.sample(number)) { own += backend.read(row) }
      progress("embeddings", done + 1, mine.count)
    }
    let all = try communicator.allGather(own.withUnsafeBytes(Array.init)).flatMap { bytes in
      bytes.withUnsafeBytes { buffer in
        (0..<buffer.count / 4).map { buffer.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
      }
    }
    return Embeddings(values: all, width: embedder.width)
  }
}
