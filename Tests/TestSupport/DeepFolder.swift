import Foundation

/// A folder that nobody can remove by its path, not even root: what lies in it has longer paths than the system takes.
public final class DeepFolder {
  private static let name = String(repeating: "d", count: 200)
  private var levels: [Int32]

  /// - Parameter folder: is there; it cannot be removed until ``remove()``.
  public init(in folder: String) throws {
    levels = [open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)]
    while levels.count * DeepFolder.name.count < 2 * Int(PATH_MAX) {
      let above = levels[levels.count - 1]
      guard above >= 0, mkdirat(above, DeepFolder.name, 0o755) == 0 else { throw POSIXError(.EIO) }
      levels.append(openat(above, DeepFolder.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
  }

  deinit { remove() }

  public func remove() {
    while let deepest = levels.popLast() {
      close(deepest)
      if let above = levels.last { unlinkat(above, DeepFolder.name, AT_REMOVEDIR) }
    }
  }
}
