import Foundation
import Ground

extension Communicator {
  /// Gives `body` a folder of the same name on every host, which is gone afterwards. All ranks call it.
  ///
  /// On each host one rank makes it; where hosts share the place, one of all.
  /// - Parameter body: is told the folder, and whether this rank has made it and is to fill it.
  /// - Throws: `Fault(.cannotWrite)`; what `body` throws.
  public func withScratchFolder<Value>(
    _ name: String, _ body: (_ folder: String, _ isOwn: Bool) throws -> Value
  ) throws -> Value {
    let above = NSTemporaryDirectory()
    let own = "\(above)\(above.hasSuffix("/") ? "" : "/")\(name)-\(UUID().uuidString)"
    let folder = String(decoding: try broadcast(Array(own.utf8)), as: UTF8.self)
    var isOwn = false
    defer { if isOwn { try? FileManager.default.removeItem(atPath: folder) } }
    try agreeOnSuccess {
      guard localRank == 0 else { return }
      try makeFolder(parentFolder(of: folder))
      // The system says to one of those that share the place that it was the one.
      isOwn = mkdir(folder, 0o755) == 0
      guard isOwn || errno == EEXIST else {
        throw Fault(.cannotWrite, "cannot make the folder: \(systemReason())", at: folder, "check TMPDIR")
      }
    }
    let value = try body(folder, isOwn)
    try barrier()  // nobody reads it any more
    return value
  }
}
