import Batching
import Datasets
import Demo
import Dispatch
import Evaluation
import Foundation
import Ground
import Parallel
import RunFile
import Tensors
import Training

/// The built-in demo: draws its pictures, trains, and asks the held-out questions before and after.
struct DemoRun {
  /// Where it all goes, below the working directory.
  static let folder = "mmdist-demo"

  let sets: [String]
  let resume: String
  let stop: StopRequest
  let trace: TraceRequest?
  let communicator: any Communicator

  func run() throws -> Int32 {
    let began = DispatchTime.now().uptimeNanoseconds
    // A mistyped key is told before anything is written.
    _ = try RunConfiguration(parsing: "", name: "the demo's run file", sets: sets)
    let runFile = DemoRun.folder + "/mmdist.yaml"
    // Rank 0 looks for all: a folder that another host sees may be of another moment.
    let isThere = communicator.rank == 0 && FileManager.default.fileExists(atPath: runFile)
    if try communicator.broadcast([isThere ? 1 : 0]) != [1] {
      say(communicator, "no ./mmdist.yaml: the built-in demo, in ./\(DemoRun.folder)")
      // Where there is no model no rank draws.
      try communicator.agreeOnSuccess { if communicator.rank == 0 { _ = try DemoModel.folder() } }
      try communicator.agreeOnSuccess {
        try writeDemoFiles(to: DemoRun.folder, part: communicator.rank, of: communicator.count)
      }
      // Once all have drawn: where the run file is, nothing is drawn again.
      try communicator.agreeOnSuccess { if communicator.rank == 0 { try writeDemoRunFile(to: DemoRun.folder) } }
    }
    let configuration = try RunConfiguration(contentsOf: runFile, sets: sets)
    let training = try Train.start(configuration, stop: stop, trace: trace, communicator)
    guard training.inputs != nil else {
      throw Fault(
        .usage, "the built-in demo asks questions, and these data are no conversations", at: "--set",
        "write a run file of your own (mmdist init DIR) and name it by -c")
    }
    say(communicator, "asking \(Examination().questions.count) questions about held-out pictures, before training")
    let before = try score(Examination(), training)
    guard try Train.go(training, resume: resume, stop: stop) == .finished else { return Fault.Kind.stopped.rawValue }
    say(communicator, "asking them again, and once more with the pictures shuffled")
    let after = try score(Examination(), training)
    let shuffled = try score(Examination().shuffled, training)
    let report = DemoReport(
      chance: Examination().chance, before: before, after: after, shuffled: shuffled,
      seconds: Double(DispatchTime.now().uptimeNanoseconds - began) * 1e-9)
    if communicator.rank == 0 {
      try writeDurably(report.json.indented, to: configuration.output + "/demo-report.json")
      printLine("\n" + report.table)
      printLine("report: \(configuration.output)/demo-report.json; the run file to start your own from: \(runFile)")
    }
    return 0
  }

  /// Every rank answers a share of the questions with the model as it is now: of the possible answers, each one
  /// token, the one that the model finds most likely.
  private func score(_ examination: Examination, _ training: TrainingRun) throws -> Score {
    let generator = TextGenerator(
      training.adapted.model, endTokens: [], features: training.features, training.backend)
    let questions = examination.questions
    guard let inputs = training.inputs else { preconditionFailure("the demo trains on conversations") }
    let mine = Array(share(of: questions.count, rank: communicator.rank, of: communicator.count))
    // A few at a time, so that not all pictures lie in memory.
    let together = 32
    let answers = try stride(from: 0, to: mine.count, by: together).flatMap { start -> [String] in
      let some = mine[start..<min(start + together, mine.count)].map { questions[$0] }
      let prompts = try some.map { asked in
        try inputs.processor.prompt(
          [Turn(.user, Record.imageTag + asked.question.text)],
          images: [.file("\(DemoRun.folder)/images/\(asked.image)")])
      }
      return try zip(some, generator.firstLogits(prompts)).map { asked, logits in
        let options = try asked.question.family.options.map { option in
          (option, logits[try inputs.tokenizer.encode(option, addSpecialTokens: false).ids[0]])
        }
        return options.max { $0.1 < $1.1 }?.0 ?? ""
      }
    }
    let all = try communicator.allGather(Array(JSON.array(answers.map(JSON.string)).description.utf8))
    return examination.score(
      try all.flatMap { bytes in
        (try JSON(parsing: String(decoding: bytes, as: UTF8.self), at: "answers").array ?? []).compactMap(\.string)
      })
  }
}
