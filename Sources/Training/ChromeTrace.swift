import Foundation
import Ground

/// The file of a profile: Trace Event Format, as chrome://tracing and Perfetto read it.
///
/// A rank is a process (`pid`); its compute and communication threads are `tid` 0 and 1. Times are microseconds.
enum ChromeTrace {
  private static let threads = ["compute", "communication"]

  /// One rank's events as JSON, separated by commas, the outer of nested spans first.
  ///
  /// - Parameter origin: where time 0 is on the clock of the spans.
  static func events(of recording: Profile.Recording, rank: Int, host: String, origin: UInt64) -> [UInt8] {
    var text = [metadata("process_name", rank, thread: 0, "rank \(rank) on \(host)")]
    for (thread, name) in threads.enumerated() { text.append(metadata("thread_name", rank, thread: thread, name)) }
    let spans = recording.spans.sorted { ($0.start, $1.end) < ($1.start, $0.end) }
    text += spans.map { event($0, rank: rank, origin: origin) }
    return Array(text.joined(separator: ",\n").utf8)
  }

  /// The whole file: the events of all ranks.
  static func file(_ ranks: [[UInt8]], steps: ClosedRange<Int>, omitted: Int) -> Data {
    let about: JSON = [
      "first_step": .integer(steps.lowerBound), "last_step": .integer(steps.upperBound),
      "omitted_events": .integer(omitted),
    ]
    var data = Data("{\"displayTimeUnit\": \"ms\", \"otherData\": \(about), \"traceEvents\": [\n".utf8)
    for (rank, events) in ranks.enumerated() {
      if rank > 0 { data.append(contentsOf: ",\n".utf8) }
      data.append(contentsOf: events)
    }
    data.append(contentsOf: "\n]}\n".utf8)
    return data
  }

  private static func metadata(_ what: String, _ rank: Int, thread: Int, _ name: String) -> String {
    let event: JSON = [
      "ph": "M", "name": .string(what), "pid": .integer(rank), "tid": .integer(thread), "args": ["name": .string(name)],
    ]
    return event.description
  }

  private static func event(_ span: Profile.Span, rank: Int, origin: UInt64) -> String {
    let event: JSON = [
      "ph": "X", "cat": .string(span.kind.rawValue), "name": .string(span.name),
      "ts": .number(Double(Int64(span.start) - Int64(origin)) / 1000),
      "dur": .number(Double(span.end - span.start) / 1000), "pid": .integer(rank),
      "tid": span.kind == .exchange ? 1 : 0, "args": arguments(span.work),
    ]
    return event.description
  }

  private static func arguments(_ work: Profile.Work) -> JSON {
    var members: [(String, JSON)] = []
    if !work.shapes.isEmpty {
      members.append(("shapes", .array(work.shapes.map { .array($0.map(JSON.integer)) })))
    }
    if let type = work.type { members.append(("type", .string(type))) }
    if work.operations > 0 { members.append(("flop", .integer(work.operations))) }
    if work.bytes > 0 { members.append(("bytes", .integer(work.bytes))) }
    return .object(.init(uniqueKeysWithValues: members))
  }
}
