import Adapters
import ArgumentParser
import Batching
import Datasets
import Foundation
import Ground
import Models
import Parallel
import RunFile
import Training

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads, decodes and encodes every record before any training.",
    discussion: "Lists every fault with file:line; the exit code is 65 when there is one.")

  @OptionGroup var runFile: RunFileOptions
  @Option(help: ArgumentHelp("Print N samples: trained text, masked text and image tokens in colour.", valueName: "N"))
  var show = 0
  @Option(help: ArgumentHelp("Write all faults as JSON.", valueName: "F.json")) var report: String?

  func run() throws {
    let configuration = try runFile.require()
    let folder = try ModelFolder(configuration.model)
    var (count, faults): (Int, [RecordFault]) = (0, [])
    var seen: [DataConfiguration] = []
    for data in configuration.runStages.map(\.data) where !seen.contains(data) {
      seen.append(data)
      let found = try look(data, folder, show: max(0, show - count))
      (count, faults) = (count + found.records, faults + found.faults)
    }
    for fault in faults { printLine("error: \(fault.fault)") }
    printLine("\(count) records, \(faults.count) fault\(faults.count == 1 ? "" : "s")")
    if let report {
      let list = faults.map { item -> JSON in
        let place = item.fault.place ?? ""
        let colon = place.lastIndex(of: ":") ?? place.endIndex
        let line = colon < place.endIndex ? Int(place[place.index(after: colon)...]) : nil
        return [
          "file": .string(String(place[..<colon])), "line": line.map(JSON.integer) ?? .null,
          "kind": .string("\(item.fault.kind)"), "severity": "error", "message": .string(item.fault.what),
        ]
      }
      try writeDurably(JSON.object(["records": .integer(count), "faults": .array(list)]).indented, to: report)
    }
    if !faults.isEmpty { throw ExitCode(Fault.Kind.badData.rawValue) }
  }

  /// Shows the first records of a stage and looks at all of them.
  private func look(
    _ data: DataConfiguration, _ folder: ModelFolder, show: Int
  ) throws -> (records: Int, faults: [RecordFault]) {
    let all = try OpenData(data.train + data.validation, at: "data")
    let maxLength = data.maxLength
    switch all {
    case .conversations(let records):
      let inputs = try ModelInputs(folder, folder.makeModel(), maxLength: maxLength)
      for index in 0..<min(show, records.count) { try printLine(shown(records.record(index), inputs)) }
      let processor = inputs.processor
      let faults = records.faults(
        in: 0..<records.count, most: .max, threads: ThreadCount.boundCores, alsoCheck: { _ = try processor.sample($0) })
      return (records.count, faults)
    case .labelled(let records):
      let training = try RunData(data, folder, SingleProcess())
      let model = try training.folder.makeModel()
      let samples = try RunData(all, training.folder, labels: training.labels).samples(model, nil, maxLength: maxLength)
      for index in 0..<min(show, records.count) {
        let record = try records.record(index)
        let pair = record.pair.map { " ⏐ " + $0 } ?? ""
        printLine(
          "── \(record.place): \(try samples.sample(index).ids.count) tokens, label \(record.label)\n\(record.text)\(pair)"
        )
      }
      let faults = samples.faults(in: 0..<records.count, most: .max, threads: ThreadCount.boundCores)
      for note in try samples.notes({ $0 }) { printLine(note) }
      return (records.count, faults)
    }
  }

  /// A sample's text: trained green, image tokens as one blue count, the rest grey.
  private func shown(_ record: Record, _ inputs: ModelInputs) throws -> String {
    let text = try inputs.processor.encode(record)
    let pictures = Set(text.imagePositions)
    var lines = "── \(record.place): \(text.ids.count) tokens, \(text.supervised.count { $0 }) trained\n"
    var index = 0
    while index < text.ids.count {
      var end = index + 1
      let (isPicture, isTrained) = (pictures.contains(index), text.supervised[index])
      while end < text.ids.count, pictures.contains(end) == isPicture, text.supervised[end] == isTrained { end += 1 }
      let words =
        isPicture
        ? "[\(end - index) image tokens]" : inputs.tokenizer.decode(text.ids[index..<end].map(Int.init))
      lines += "\u{1B}[\(isPicture ? 34 : isTrained ? 32 : 90)m\(words)\u{1B}[0m"
      index = end
    }
    return lines
  }
}
