import Adapters
import ArgumentParser
import Batching
import Datasets
import Features
import Foundation
import Ground
import Inspection
import Models
import Parallel
import RunFile
import Training

struct Check: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads, decodes and encodes every record before any training.",
    discussion: """
      Lists what is wrong, or may be, with file:line and what to do about it: records and pictures that cannot be read or \
      trained on, copies and near copies, leaks into validation, contradictions, questions that give their answers away, \
      answers and groups that are out of balance. The exit code is 65 when there is an error; warnings do not count.

      Under mpirun the ranks share the work; the report is the same. What was looked at is kept in the cache folder, so \
      that a second look is quick and one that was broken off goes on.
      """)

  @OptionGroup var runFile: RunFileOptions
  @Option(help: ArgumentHelp("Print N samples: trained text, masked text and image tokens in colour.", valueName: "N"))
  var show = 0
  @Option(help: ArgumentHelp("Write all findings and figures as JSON.", valueName: "F.json")) var report: String?
  @Option(help: ArgumentHelp("Write one page with pictures, charts and tables.", valueName: "F.html"))
  var html: String?
  @Option(
    name: .customLong("group-by"),
    help: ArgumentHelp(
      "Count records and answers by a column of the metadata, such as patient.age; may be given several times.",
      valueName: "COLUMN"))
  var groupBy: [String] = []

  func run() throws { try withWorld { try look($0) } }

  /// - Returns: the exit code.
  private func look(_ communicator: any Communicator) throws -> Int32 {
    var configuration = try runFile.require()
    // Labels that cannot be read are findings like others.
    configuration.data.onError = .skip
    for stage in configuration.stages.indices { configuration.stages[stage].data.onError = .skip }
    if communicator.rank == 0 { for path in [report, html].compactMap(\.self) { try requireWritable(path) } }
    let data = try RunData(configuration, communicator)
    // As it will be trained: virtual tokens take positions from the records.
    let model = try AdaptedModel(data.folder, stages: configuration.methods, quantised: configuration.quantised).model
    let sets = try InspectedData(configuration, data, model, communicator)
    if communicator.rank == 0 { for text in sets.shown(show) { printLine(text) } }
    let threads = ThreadCount(communicator).threads
    let progress = CheckProgress(isShown: communicator.rank == 0)
    var found: [Inspection] = []
    for set in sets.all {
      let inspection = try Inspection.inspect(
        set, columns: groupBy, cache: configuration.cacheFolder, communicator, threads: threads
      ) { done, all in progress(done, all) }
      if let inspection { found.append(inspection) }
    }
    if communicator.rank == 0 { try tell(found, sets) }
    let errors: [Int] = try communicator.allReduceSum([found.reduce(0) { $0 + $1.errors }])
    return errors[0] > 0 ? Fault.Kind.badData.rawValue : 0
  }

  private func tell(_ found: [Inspection], _ sets: InspectedData) throws {
    let file = runFile.config ?? "mmdist.yaml"
    let next = "mmdist train -c \(file)"
    if let report { try writeDurably(found.report.indented, to: report) }
    if let html {
      let subtitle = "\(file) · " + sets.files.joined(separator: ", ")
      try InspectionPage(found, subtitle: subtitle, next: next, decode: sets.decode).page.write(to: html)
    }
    for line in found.summary(report: report, html: html, next: next) { printLine(line) }
  }
}

/// The data of each stage of a run, ready to be looked at.
private struct InspectedData {
  let all: [InspectedSet]
  let files: [String]
  /// Turns token ids into text.
  let decode: ([Int]) -> String

  init(
    _ configuration: RunConfiguration, _ data: RunData, _ model: MultimodalModel, _ communicator: any Communicator
  ) throws {
    let settings = try InspectedData.settings(of: data.folder)
    var seen: [DataConfiguration] = []
    var sets: [InspectedSet] = []
    var decode: ([Int]) -> String = { _ in "" }
    for stage in configuration.runStages where !seen.contains(stage.data) {
      seen.append(stage.data)
      let open = try OpenData(
        stage.data.train + stage.data.validation, areForDual: data.folder.isDual, at: "data",
        reading: configuration.labelContent(for: data.folder), cache: configuration.cacheFolder)
      try open.requireSame(on: communicator)
      let inputs = try data.inputs(of: open, model, stage.data, isTraining: true)
      let content: InspectedSet.Content
      switch open {
      case .conversations(let records):
        guard let inputs else { preconditionFailure("conversations have inputs") }
        content = .conversations(records, inputs.processor)
        decode = { inputs.tokenizer.decode($0) }
      case .pairs(let records):
        let samples = try data.samples(of: open, model, inputs, maxLength: stage.data.maxLength)
        guard let samples = samples as? PairSamples else { preconditionFailure("pairs are told as such") }
        content = .pairs(records, samples)
      case .labelled(let records):
        let samples = try data.samples(of: open, model, inputs, maxLength: stage.data.maxLength)
        guard let samples = samples as? LabelledSamples else {
          preconditionFailure("records with labels are told as such")
        }
        content = .labelled(records, samples)
      }
      let longest = min(stage.data.maxLength, model.longestSequence ?? .max)
      sets.append(
        InspectedSet(
          name: stage.name, content, trainingFiles: stage.data.train.count, maxLength: longest,
          settings:
            "\(settings) \(longest) \(stage.data.boxes) \(stage.data.trainOn) \(String(describing: stage.data.augment)) \(inputs?.processor.vision.map { "\($0.tokensPerImage) \($0.token)" } ?? "")"
        ))
    }
    all = sets
    self.decode = decode
    files = seen.flatMap { ($0.train + $0.validation).map(\.path) }.reduce(into: []) {
      if !$0.contains($1) { $0.append($1) }
    }
  }

  /// The program, and the small files of the model folder: tokenizer, templates, processors.
  private static func settings(of folder: ModelFolder) throws -> String {
    let small = Set(["json", "jinja", "txt", "model"])
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
    let files = names.filter { small.contains(($0 as NSString).pathExtension) }.map { name in
      let content = (try? Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)"))) ?? Data()
      return "\(name) \(content.withUnsafeBytes(Checksum.digits))"
    }
    return ([try programDigest(libraries: ["libjpeg", "libpng"])] + files).joined(separator: " ")
  }

  /// The first samples as they are trained on.
  func shown(_ count: Int) -> [String] {
    var lines: [String] = []
    for set in all {
      switch set.content {
      case .conversations(let records, let processor):
        for index in 0..<max(0, min(count - lines.count, records.count)) {
          lines.append(InspectedData.line(of: index, records, processor, decode))
        }
      case .pairs(let records, _):
        for index in 0..<max(0, min(count - lines.count, records.count)) {
          lines.append(InspectedData.line(of: index, records))
        }
      case .labelled(let records, let samples):
        for index in 0..<max(0, min(count - lines.count, records.count)) {
          lines.append(InspectedData.line(of: index, records, samples))
        }
      }
    }
    return lines
  }

  /// A record that cannot be encoded says why; the look at all records tells it with the others.
  private static func line(
    of index: Int, _ records: RecordSet, _ processor: Processor, _ decode: ([Int]) -> String
  ) -> String {
    do {
      let record = try records.record(index)
      let text = try SampleText(record, processor, decode: decode)
      return "── \(record.place): \(text.tokens) tokens, \(text.trained) trained\n\(text.coloured)"
    } catch {
      return "── \(error)"
    }
  }

  private static func line(of index: Int, _ records: PairSet) -> String {
    do {
      let record = try records.record(index)
      return "── \(record.place): \(record.image.name)\n\(record.captions.joined(separator: "\n"))"
    } catch {
      return "── \(error)"
    }
  }

  private static func line(of index: Int, _ records: LabelledSet, _ samples: LabelledSamples) -> String {
    do {
      let record = try records.record(index)
      let tokens = try samples.length(of: record).tokens
      let content =
        record.images.map(\.name) + (record.text.isEmpty ? [] : [record.text]) + [record.pair].compactMap(\.self)
      return "── \(record.place): \(tokens) tokens, label \(record.label)\n\(content.joined(separator: " ⏐ "))"
    } catch {
      return "── \(error)"
    }
  }
}

/// How far the look has come, on a terminal.
private struct CheckProgress {
  private let isTerminal: Bool

  init(isShown: Bool) { isTerminal = isShown && isatty(STDERR_FILENO) == 1 }

  func callAsFunction(_ done: Int, _ all: Int) {
    guard isTerminal, done == all || done.isMultiple(of: 1024) else { return }
    writeToStandardError("\r\u{1B}[K" + (done == all ? "" : "looking at records: \(done * 100 / max(1, all)) %"))
  }
}
