import Foundation

/// A folder of files that can be made again: shared by the jobs of a machine, bounded, each file written whole.
///
/// Files lie below it by name; a name may hold folders, such as `weights/4f1c….safetensors`. One that a process reads by
/// its places all the time is held by a shared `flock` and stays; any other may go at any moment.
public struct CacheFolder: Sendable {
  public let path: String
  /// How many bytes its files may take together.
  public let limit: Int
  /// Whether files beyond the limit are left where they are when others have put so many there.
  private let leavesFilesBeyondLimit: Bool

  public static let standardLimit = 20 << 30
  static let lockEnding = ".lock"
  private static let unfinishedEnding = ".writing"
  /// Nobody writes any more what has not grown for so long, in seconds.
  private static let abandonedAfter = 3600.0

  public init(_ path: String, limit: Int, leavesFilesBeyondLimit: Bool = false) {
    self.path = path
    self.limit = limit
    self.leavesFilesBeyondLimit = leavesFilesBeyondLimit
  }

  /// The folder of commands that have no run file to say where it is and how large.
  public static func standard() -> CacheFolder {
    CacheFolder(standardPath(), limit: standardLimit, leavesFilesBeyondLimit: true)
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
  /// - Returns: what `write` returns.
  @discardableResult
  public func make<Made>(_ name: String, write: (String) throws -> Made) throws -> Made {
    let file = "\(path)/\(name)"
    try makeFolder(parentFolder(of: file))
    let temporary = "\(file).\(UUID().uuidString)\(CacheFolder.unfinishedEnding)"
    defer { unlink(temporary) }
    let made = try write(temporary)
    guard rename(temporary, file) == 0 else {
      throw cannotWrite(file)
    }
    return made
  }

  /// Removes the files that were used longest ago until `needed` more bytes fit below the limit; those that were used
  /// since `moment` stay, and so do those that others hold or are just writing.
  /// - Returns: whether they fit; nothing is removed for what does not fit into the empty folder.
  @discardableResult
  public func makeRoom(
    for needed: Int, keeping kept: Set<String> = [], usedSince moment: Date = .distantFuture
  ) -> Bool {
    guard needed <= self.limit else { return false }
    var files = everyFile()
    let present = files.reduce(0) { $0 + $1.size }
    let limit = leavesFilesBeyondLimit ? max(self.limit, present) : self.limit
    var total = needed + present
    files.sort { $0.used < $1.used }
    for file in files where total > limit && !kept.contains(file.name) {
      guard file.used < moment.timeIntervalSince1970 else { break }
      if remove(file) { total -= file.size }
    }
    return total <= limit
  }

  private struct Found {
    let name: String
    let size: Int
    /// In seconds since 1970.
    let used: Double
  }

  private func everyFile() -> [Found] {
    guard let names = FileManager.default.enumerator(atPath: path) else { return [] }
    return names.compactMap { ($0 as? String).flatMap(find) }
  }

  private func find(_ name: String) -> Found? {
    var status = stat()
    guard lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    let used = Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) * 1e-9
    return Found(name: name, size: Int(status.st_blocks) * 512, used: used)
  }

  /// - Returns: false where it stays, as it is in use.
  private func remove(_ file: Found) -> Bool {
    let isUnfinished = file.name.hasSuffix(CacheFolder.unfinishedEnding)
    if file.name.hasSuffix(CacheFolder.lockEnding)
      || isUnfinished && file.used > Date().timeIntervalSince1970 - CacheFolder.abandonedAfter
    {
      return false
    }
    // To look through a large folder takes seconds, in which a file may have been used.
    guard find(file.name)?.used == file.used else { return false }
    let place = "\(path)/\(file.name)"
    // Locks of files on other machines are for those who may write.
    let writable = open(place, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
    let descriptor = writable >= 0 ? writable : open(place, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    defer { if descriptor >= 0 { close(descriptor) } }
    if descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK { return false }
    return unlink(place) == 0
  }
}
