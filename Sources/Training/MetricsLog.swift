import Foundation
import Ground

/// `metrics.jsonl`: one line a step, appended; after a resume no step stands twice.
public final class MetricsLog {
  private let path: String
  let descriptor: Int32
  /// What is odd about the lines that were there; nil where nothing is.
  public let warning: String?

  /// - Parameter step: the last step whose line stays; lines of later ones, undone by a crash, and a torn last
  ///   line are cut off. Where the line of `step` itself is not there, a copy of the file is kept beside it.
  public init(_ path: String, after step: Int) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Fault(.cannotWrite, "cannot open: \(systemReason())", at: path, "check the permissions")
    }
    let data = try readFile(path)
    var last = 0
    let kept = MetricsLog.forEachLine(of: data, upTo: step) { own, _ in last = max(last, own) }
    warning = try last == step || data.isEmpty ? nil : MetricsLog.warn(path, data, kept: kept, lacks: step)
    guard ftruncate(descriptor, off_t(kept)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
      throw Fault(.cannotWrite, "cannot cut: \(systemReason())", at: path, "check the permissions")
    }
  }

  deinit { close(descriptor) }

  /// Goes through the whole lines of steps up to `step`; one that cannot be read tells nothing and is passed over.
  /// - Returns: the bytes up to the end of the last of them.
  static func forEachLine(of data: Data, upTo step: Int, _ body: (_ step: Int, JSON) throws -> Void) rethrows -> Int {
    var (start, end) = (data.startIndex, data.startIndex)
    while let newline = data[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let line = String(decoding: data[start..<newline], as: UTF8.self)
      start = newline + 1
      guard let json = try? JSON(parsing: line, at: "metrics.jsonl"), let own = json["step"]?.integer, own <= step
      else { continue }
      try body(own, json)
      end = start
    }
    return end - data.startIndex
  }

  /// Keeps a copy of a file that lacks the line of `step`, if anything is to be cut off, and says so.
  private static func warn(_ path: String, _ data: Data, kept: Int, lacks step: Int) throws -> String {
    let what = "warning: \(path) has no line of step \(step)"
    guard kept < data.count else { return what }
    var number = 1
    while FileManager.default.fileExists(atPath: "\(path).earlier-\(number)") { number += 1 }
    try writeDurably(data, to: "\(path).earlier-\(number)")
    return what + "; as it was, it is now \(path).earlier-\(number)"
  }

  /// Appends a line and hands it to the system whole.
  public func append(_ report: StepReport) throws {
    try Array((report.json.description + "\n").utf8).withUnsafeBytes {
      try writeAll($0, to: descriptor, path: path)
    }
  }

  /// Makes the lines so far survive a loss of power.
  /// - Throws: `Fault(.cannotWrite)`; lines may be lost then.
  public func sync() throws {
    guard fsync(descriptor) == 0 else { throw cannotWrite(path) }
  }
}
