import Foundation

/// What the system tells a file by: equal identities at two times mean that its bytes did not change between them.
///
/// A program can put back a file's size and its time of modification, but not `changed`: the system itself sets that
/// from its clock with every write, rename and replacement.
public struct FileIdentity: Hashable, Sendable {
  public let device: UInt64
  public let inode: UInt64
  public let byteCount: Int
  /// In nanoseconds since 1970.
  public let modified: Int
  /// In nanoseconds since 1970.
  public let changed: Int

  public init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    byteCount = Int(status.st_size)
    modified = nanoseconds(status.st_mtim)
    changed = nanoseconds(status.st_ctim)
  }

  /// Nil where there is no such file.
  public init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  /// Whether the file has been left alone for two seconds: clocks of file systems tick, some as slowly as once a
  /// second, and a second change within one tick would not show.
  public func isSettled(at now: Date = Date()) -> Bool {
    Double(changed) * 1e-9 < now.timeIntervalSince1970 - 2
  }
}

/// Of a time that a stranger's file system may have made up.
private func nanoseconds(_ time: timespec) -> Int { Int(time.tv_sec) &* 1_000_000_000 &+ Int(time.tv_nsec) }
