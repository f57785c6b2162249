import Adapters
import ArgumentParser
import Batching
import Datasets
import Foundation
import Ground
import Models
import Parallel
import RunFile

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
    let model = try folder.makeModel()
    var (count, faults): (Int, [RecordFault]) = (0, [])
    var seen: [DataConfiguration] = []
    for data in configuration.runStages.map(\.data) where !seen.contains(data) {
      seen.append(data)
      let inputs = try ModelInputs(folder, model, maxLength: data.maxLength)
      let records = try RecordSet(
        (data.train + data.validation).map {
          try RecordSource(path: $0.path, images: $0.images, format: $0.format.rawValue)
        })
      for index in 0..<max(0, min(show - count, records.count)) { try printLine(shown(records.record(index), inputs)) }
      let processor = inputs.processor
      faults += records.faults(
        in: 0..<records.count, most: .max, threads: ThreadCount.boundCores, alsoCheck: { _ = try processor.sample($0) })
      count += records.count
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
