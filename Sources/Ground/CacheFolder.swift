import Foundation

/// A folder of files that can be made again: shared by the jobs of a machine, bounded, each file written whole.
///
/// Files lie below it by name; a name may hold folders, such as `weights/4f1c….safetensors`.
public struct CacheFolder: Sendable {
  public let path: String
  /// How many bytes its files may take together.
  public let limit: Int

  public init(_ path: String, limit: Int) {
    self.path = path
    self.limit = limit
  }

  /// Where caches lie when the run file does not say: `$MMDIST_CACHE`, else below the user's own cache folder.
  public static func standardPath(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
    if let own = environment["MMDIST_CACHE"], !own.isEmpty { return own }
    if let caches = environment["XDG_CACHE_HOME"], caches.hasPrefix("/") { return caches + "/mmdist" }
    return (environment["HOME"] ?? NSTemporaryDirectory()) + "/.cache/mmdist"
  }

  /// The path of a file that is there, which counts as used now; nil where it is not.
  public func existing(_ name: String) -> String? {
    let file = "\(path)/\(name)"
    // In a folder that others own, a file can be read but not be marked as used.
    return utimensat(AT_FDCWD, file, nil, 0) == 0 || access(file, R_OK) == 0 ? file : nil
  }

  /// Makes a file: `write` gets a path of its own beside it, whose file then takes the place at once.
  ///
  /// Two makers at the same time do not disturb each other; the last one's file stays.
  @discardableResult
  public func make(_ name: String, write: (String) throws -> Void) throws -> String {
    let file = "\(path)/\(name)"
    try makeFolder(parentFolder(of: file))
    let temporary = "\(file).\(UUID().uuidString).writing"
    defer { unlink(temporary) }
    try write(temporary)
    guard rename(temporary, file) == 0 else {
      throw cannotWrite(file)
    }
    return file
  }

  /// Removes the files that were used longest ago until `needed` more bytes fit below the limit; those that were used
  /// since `moment` stay.
  /// - Returns: whether they fit; nothing is removed for what does not fit into the empty folder.
  @discardableResult
  public func makeRoom(
    for needed: Int, keeping kept: Set<String> = [], usedSince moment: Date = .distantFuture
  ) -> Bool {
    guard needed <= limit else { return false }
    var files = everyFile()
    var total = files.reduce(needed) { $0 + $1.size }
    files.sort { $0.used < $1.used }
    for file in files where total > limit && !kept.contains(file.name) {
      guard file.used < moment.timeIntervalSince1970 else { break }
      if unlink("\(path)/\(file.name)") == 0 { total -= file.size }
    }
    return total <= limit
  }

  private func everyFile() -> [(name: String, size: Int, used: Double)] {
    guard let names = FileManager.default.enumerator(atPath: path) else { return [] }
    return names.compactMap { item in
      var found = stat()
      guard let name = item as? String, lstat("\(path)/\(name)", &found) == 0, found.st_mode & S_IFMT == S_IFREG
      else { return nil }
      let used = Double(found.st_mtim.tv_sec) + Double(found.st_mtim.tv_nsec) * 1e-9
      return (name, Int(found.st_blocks) * 512, used)
    }
  }
}
