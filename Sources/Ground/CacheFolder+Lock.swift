import Foundation

extension CacheFolder {
  /// Runs `body` while no other process of this machine does so for the same name: what it makes is made once.
  /// - Throws: `Fault(.cannotWrite)` where the folder cannot be written, and what `body` throws.
  public func locked<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
    let lock = try lock(name)
    return try withExtendedLifetime(lock, body)
  }

  /// Waits until no other process of this machine has the lock of this name; it is had until the object goes.
  /// - Throws: `Fault(.cannotWrite)` where the folder cannot be written.
  public func lock(_ name: String) throws -> FileLock {
    let file = "\(path)/\(name)\(CacheFolder.lockEnding)"
    try makeFolder(parentFolder(of: file))
    let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Fault(
        .cannotWrite, "cannot write: \(systemReason())", at: file, "set cache.folder to a folder that can be written")
    }
    return FileLock(descriptor)
  }
}

/// A lock on a file, given back with the object, or by the system when the process ends.
public final class FileLock: Sendable {
  private let descriptor: Int32

  fileprivate init(_ descriptor: Int32) {
    self.descriptor = descriptor
    // On file systems without locks the makers do not wait for each other, which costs time and nothing else.
    while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
  }

  deinit { close(descriptor) }
}
