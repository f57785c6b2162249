import Foundation
import Ground

/// The folder of all checkpoints of a run, and the names in it.
///
/// | name | what it is |
/// |---|---|
/// | `step-00000500` | a checkpoint, if its manifest is valid |
/// | `step-00000500.writing` | one that is being written, or was when the program ended |
/// | `step-00000500.replaced` | the former one, while a new one takes its place; it counts when the new one is not there |
/// | `step-00000500.removing` | one that is being removed, or was |
public enum CheckpointFolder {
  enum Stage: String, CaseIterable {
    case writing = ".writing"
    case replaced = ".replaced"
    case removing = ".removing"
  }

  /// `step-00000500`.
  public static func name(_ step: Int) -> String { "step-\(padded(step, to: 8))" }

  /// The folders that are named as checkpoints, oldest first, unchecked; none when `folder` is not there.
  /// - Throws: `Fault(.inputOutput)` when the folder cannot be read.
  public static func list(in folder: String) throws -> [(step: Int, folder: String)] {
    let names = try contents(of: folder)
    var found: [Int: String] = [:]
    for name in names {
      guard let (step, stage) = parse(name), stage == nil || stage == .replaced else { continue }
      if stage == nil || found[step] == nil { found[step] = name }
    }
    return found.sorted { $0.key < $1.key }.map { ($0.key, "\(folder)/\($0.value)") }
  }

  /// Where a name such as `checkpoints/best` leads now; a name that is no link is given back.
  ///
  /// Folders above are left as they are named: they may be links to other places on other hosts.
  public static func resolved(_ path: String) -> String {
    var folder = path
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    for _ in 0..<16 {
      guard let next = try? FileManager.default.destinationOfSymbolicLink(atPath: folder) else { return folder }
      let above = parentFolder(of: folder)
      folder = next.hasPrefix("/") || above.isEmpty ? next : "\(above)/\(next)"
    }
    return path
  }

  /// The newest checkpoint whose manifest is valid and whose shards have the right size and checksum.
  /// - Parameters:
  ///   - skipped: hears of every newer one that cannot be taken, and why; it may throw that.
  ///   - wanted: which ones count, by what their manifests say.
  /// - Throws: `Fault(.inputOutput)` when the folder cannot be read; what `skipped` throws.
  public static func newestValid(
    in folder: String, skipped: (_ folder: String, _ why: Fault) throws -> Void = { _, _ in },
    where wanted: (CheckpointHeader) -> Bool = { _ in true }
  ) throws -> Checkpoint? {
    for (step, folder) in try list(in: folder).reversed() {
      do {
        let checkpoint = try Checkpoint(folder: folder, step: step)
        guard wanted(checkpoint.header) else { continue }
        try checkpoint.checkFiles()
        return checkpoint
      } catch {
        try skipped(folder, error as? Fault ?? Fault(.inputOutput, "\(error)", at: folder, otherCheckpoint))
      }
    }
    return nil
  }

  /// Removes all but the newest `keep` checkpoints, and what earlier crashes left. No checkpoint may be being written.
  ///
  /// The newest valid one (every checksum is checked) always stays. Damaged ones do not count; they go when
  /// they are older than it, and stay to be looked at when they are newer. Nothing goes when none is valid, and never one of
  /// another format version.
  /// - Parameters:
  ///   - written: the step that has just been written, which counts as the newest: what is of later steps stays
  ///     untouched and does not count. Nil: the newest that is there.
  ///   - always: steps whose checkpoints stay and do not count.
  ///   - left: hears of what could not be removed, which the next call tries again: on NFS a file that somebody reads
  ///     keeps its folder from going.
  /// - Throws: `Fault(.inputOutput)` when the folder cannot be read.
  public static func prune(
    in folder: String, keep: Int, written: Int? = nil, always: Set<Int> = [], left: (Fault) -> Void = { _ in }
  ) throws {
    precondition(keep >= 1, "checkpoints: keep \(keep)")
    try clear(folder, left: left)
    guard let newest = try newestValid(in: folder, where: { written == nil || $0.step == written }) else { return }
    var kept = 1
    for (step, folder) in try list(in: folder).reversed() where step < newest.header.step {
      switch condition(of: folder, step: step) {
      case .whole where always.contains(step): continue
      case .whole where kept < keep: kept += 1
      case .whole, .damaged: try attempt(left: left) { try discard(folder) }
      case .unknown: continue
      }
    }
  }

  private enum Condition {
    case whole
    case damaged
    /// Of another format version, or not readable at the moment.
    case unknown
  }

  /// What the manifest and the sizes of the shards tell.
  private static func condition(of folder: String, step: Int) -> Condition {
    do {
      return try Checkpoint(folder: folder, step: step).hasAllFiles ? .whole : .damaged
    } catch let fault as Fault where fault.kind == .badData || fault.kind == .missingInput {
      return .damaged
    } catch {
      return .unknown
    }
  }

  // MARK: Changing the folder

  /// Moves the checkpoints after `step` to another folder of the same file system, which is there.
  /// - Throws: `Fault(.cannotWrite)`, `.inputOutput`.
  public static func moveNewer(than step: Int, from folder: String, to other: String) throws {
    try clear(folder) { _ in }
    for newer in try list(in: folder) where newer.step > step {
      try move(newer.folder, to: "\(other)/\(name(newer.step))")
    }
    syncFolder(of: "\(folder)/\(name(step))")
  }

  /// Gives a finished working folder its name. `destination` or its `.replaced` exists at every moment, if it did before.
  static func put(_ working: String, inPlaceOf destination: String) throws {
    let former = destination + Stage.replaced.rawValue
    if FileManager.default.fileExists(atPath: destination) {
      do { try remove(former) } catch { try move(former, to: destination + Stage.removing.rawValue) }
      try move(destination, to: former)
    }
    try move(working, to: destination)
    try? remove(former)
  }

  /// Removes a checkpoint so that it never looks whole when half of it is gone.
  static func discard(_ checkpoint: String) throws {
    let leaving = checkpoint + Stage.removing.rawValue
    try remove(leaving)
    try move(checkpoint, to: leaving)
    try remove(leaving)
  }

  /// Removes a folder and all in it, if it is there.
  static func remove(_ path: String) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      throw Fault(.cannotWrite, "cannot remove: \(error.localizedDescription)", at: path, "check the permissions")
    }
  }

  private static func move(_ path: String, to other: String) throws {
    guard rename(path, other) == 0 else {
      throw Fault(.cannotWrite, "cannot rename: \(systemReason())", at: path, "check the permissions")
    }
    syncFolder(of: other)
  }

  /// Tells a fault of what may as well be done later.
  private static func attempt(left: (Fault) -> Void, _ removal: () throws -> Void) throws {
    do { try removal() } catch let fault as Fault { left(fault) }
  }

  /// Removes what crashes left, and gives a checkpoint its name back that was to be replaced and was not.
  private static func clear(_ folder: String, left: (Fault) -> Void) throws {
    for name in try contents(of: folder) {
      guard let (step, stage) = parse(name), let stage else { continue }
      let (path, whole) = ("\(folder)/\(name)", "\(folder)/\(self.name(step))")
      if stage == .replaced, !FileManager.default.fileExists(atPath: whole) {
        try move(path, to: whole)
      } else {
        try attempt(left: left) { try remove(path) }
      }
    }
  }

  // MARK: Names

  private static func contents(of folder: String) throws -> [String] {
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder)
    } catch {
      throw Fault(
        .inputOutput, "cannot list the folder: \(error.localizedDescription)", at: folder, "check its permissions")
    }
  }

  private static func parse(_ name: String) -> (step: Int, stage: Stage?)? {
    let stage = Stage.allCases.first { name.hasSuffix($0.rawValue) }
    let base = stage.map { String(name.dropLast($0.rawValue.count)) } ?? name
    guard let step = Int(base.dropFirst(5)), step >= 0, self.name(step) == base else { return nil }
    return (step, stage)
  }
}
