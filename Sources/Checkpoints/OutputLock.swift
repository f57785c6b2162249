import Foundation
import Ground

/// Keeps an output folder to one run, as long as this object lives.
///
/// It is an `flock` on `OUTPUT/.lock`, which the system releases when the process ends, however it ends. The file
/// stays, with the owner's host and process in it while it is held. Only rank 0 takes the lock.
public final class OutputLock: Sendable {
  private let descriptor: Int32
  /// Why the file system gives no locks here, so that nothing is protected; nil when the lock is held.
  public let unavailable: String?

  /// - Throws: `Fault(.cannotWrite)` when another run holds the folder, or when the lock file cannot be made.
  public init(output folder: String) throws {
    let path = "\(folder)/.lock"
    try makeFolder(folder)
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Fault(.cannotWrite, "cannot open: \(systemReason())", at: path, "check the permissions")
    }
    var result = flock(descriptor, LOCK_EX | LOCK_NB)
    while result != 0 && errno == EINTR { result = flock(descriptor, LOCK_EX | LOCK_NB) }
    let reason = errno
    guard result == 0 || reason != EWOULDBLOCK else {
      let owner = OutputLock.readOwner(descriptor)
      close(descriptor)
      throw Fault(
        .cannotWrite, "the output folder is in use by another run\(owner)", at: folder,
        "wait for it to end, stop it, or choose another output")
    }
    self.descriptor = descriptor
    unavailable = result == 0 ? nil : String(cString: strerror(reason))
    if result == 0 {
      ftruncate(descriptor, 0)
      let owner = "host \(OutputLock.host), pid \(getpid())\n"
      _ = owner.withCString { pwrite(descriptor, $0, strlen($0), 0) }
    }
  }

  deinit {
    if unavailable == nil { ftruncate(descriptor, 0) }
    close(descriptor)
  }

  /// The machine's own name for itself, without asking a name server.
  private static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// ` (host H, pid P)` as the owner wrote it, or nothing.
  private static func readOwner(_ descriptor: Int32) -> String {
    var text = [UInt8](repeating: 0, count: 256)
    let count = pread(descriptor, &text, text.count, 0)
    let line = String(decoding: text.prefix(max(count, 0)).prefix { $0 >= 0x20 && $0 < 0x7F }, as: UTF8.self)
    return line.isEmpty ? "" : " (\(line))"
  }
}
