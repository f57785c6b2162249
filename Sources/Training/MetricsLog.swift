import Foundation
import Ground

/// `metrics.jsonl`: one line a step, appended; after a resume no step stands twice.
public final class MetricsLog {
  private let path: String
  private let descriptor: Int32

  /// - Parameter step: the last step whose line stays; lines of later ones, undone by a crash, and a torn last
  ///   line are cut off.
  public init(_ path: String, after step: Int) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Fault(.cannotWrite, "cannot open: \(systemReason())", at: path, "check the permissions")
    }
    let kept = try MetricsLog.length(of: readFile(path), upTo: step)
    guard ftruncate(descriptor, off_t(kept)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
      throw Fault(.cannotWrite, "cannot cut: \(systemReason())", at: path, "check the permissions")
    }
  }

  deinit { close(descriptor) }

  /// The bytes that whole lines of steps up to `step` take.
  static func length(of data: Data, upTo step: Int) throws -> Int {
    var end = data.startIndex
    while let newline = data[end...].firstIndex(of: UInt8(ascii: "\n")) {
      let line = String(decoding: data[end..<newline], as: UTF8.self)
      guard let json = try? JSON(parsing: line, at: "metrics.jsonl"), let own = json["step"]?.integer, own <= step
      else { break }
      end = newline + 1
    }
    return end - data.startIndex
  }

  /// Appends a line and hands it to the system whole.
  public func append(_ report: StepReport) throws {
    try Array((report.json.description + "\n").utf8).withUnsafeBytes {
      try writeAll($0, to: descriptor, path: path)
    }
  }

  /// Makes the lines so far survive a loss of power.
  public func sync() { fsync(descriptor) }
}
