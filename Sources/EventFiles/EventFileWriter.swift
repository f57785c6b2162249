import Foundation
import Ground

/// Writes scalars for TensorBoard: one new event file in a folder, never touching the files that are there.
///
/// Events collect in memory and reach the file in whole records, so that whatever ends the program, at most the
/// last record is torn, which readers skip.
public final class EventFileWriter {
  /// The file that is written.
  public let path: String
  private let descriptor: Int32
  private var pending: [UInt8] = []
  /// Above this many bytes `scalars` flushes by itself.
  private let mostPending = 1 << 16

  /// Makes the folder where it is missing, and a new event file in it that sorts after those of earlier runs.
  /// - Parameters:
  ///   - startTime: seconds since 1970, in the name and in the first record.
  ///   - firstStep: the step that a resumed run goes on with; readers then forget this and later steps of earlier files.
  /// - Throws: `Fault(.cannotWrite)`.
  public init(folder: String, startTime: Double = Date().timeIntervalSince1970, firstStep: Int? = nil) throws {
    try makeFolder(folder)
    (path, descriptor) = try newFile(in: folder, startTime: startTime)
    append(
      .with {
        $0.wallTime = startTime; $0.fileVersion = "brain.Event:2"
      })
    if let firstStep {
      append(
        .with {
          $0.wallTime = startTime
          $0.step = Int64(firstStep)
          $0.sessionLog = .with { $0.status = .start }
        })
    }
    try flush()
  }

  deinit {
    try? flush()
    close(descriptor)
  }

  /// Adds the scalars of one step, as `("loss", 2.5)`; `wallTime` is in seconds since 1970.
  /// - Throws: `Fault(.cannotWrite)`.
  public func scalars(
    step: Int, wallTime: Double = Date().timeIntervalSince1970, _ scalars: [(tag: String, value: Float)]
  ) throws {
    let values = scalars.map { scalar in
      Summary.Value.with {
        $0.tag = scalar.tag; $0.simpleValue = scalar.value
      }
    }
    append(
      .with {
        $0.wallTime = wallTime
        $0.step = Int64(step)
        $0.summary = .with { $0.value = values }
      })
    if pending.count > mostPending { try flush() }
  }

  /// Hands everything so far to the operating system.
  /// - Throws: `Fault(.cannotWrite)`; what could not be written is dropped.
  public func flush() throws {
    defer { pending.removeAll(keepingCapacity: true) }
    try pending.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
  }

  private func append(_ event: Event) {
    // Serialising fails only for missing required fields and messages over 2 GiB; proto3 has no required fields.
    guard let bytes: [UInt8] = try? event.serializedBytes() else { preconditionFailure("an event over 2 GiB") }
    pending += record(of: bytes)
  }
}

/// Opens `events.out.tfevents.SECONDS.HOST.PROCESS.NUMBER` under the first number that is free.
private func newFile(in folder: String, startTime: Double) throws -> (path: String, descriptor: Int32) {
  let seconds = String(Int(clamping: Int64(exactly: startTime.rounded(.down)) ?? 0))
  let name = String(repeating: "0", count: max(0, 10 - seconds.count)) + seconds
  let stem = "\(folder)/events.out.tfevents.\(name).\(hostName()).\(getpid())"
  for number in 0..<10_000 {
    let path = "\(stem).\(number)"
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o644)
    if descriptor >= 0 { return (path, descriptor) }
    if errno != EEXIST { break }
  }
  throw Fault(
    .cannotWrite, "cannot make an event file: \(systemReason())", at: folder, "check the folder's permissions")
}

/// This host's own name for itself; no name service is asked.
private func hostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
  return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
