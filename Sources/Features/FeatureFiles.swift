import Foundation
import Ground

/// Features on disk: a file a picture, in the folder of their space, which the ranks and jobs of a machine share.
///
/// A thread of its own writes. What comes faster than the disk takes it is dropped, to be made again when it is wanted
/// again; when the disk fails or the limit is reached, writing ends and reading goes on. Files that were used since the
/// start are not removed to make room, for the reason that ``FeatureMemory`` gives.
final class FeatureFiles: Sendable {
  private let space: String
  private let count: Int
  private let folder: CacheFolder
  private let queue = WriteQueue()

  init(space: String, count: Int, folder: CacheFolder) {
    self.space = space
    self.count = count
    self.folder = folder
    let (queue, writer) = (queue, Writer(space: space, count: count, folder: folder))
    let thread = Thread {
      while let next = queue.take() {
        do {
          try writer.write(next.features, of: next.picture)
          queue.done()
        } catch {
          queue.fail("\(error)")
        }
      }
    }
    thread.start()
  }

  deinit { queue.end() }

  func read(_ picture: String) -> [Float]? {
    let name = FeatureFiles.name(of: picture, space: space)
    let found = FeatureFile(space: space, picture: picture, count: count).read("\(folder.path)/\(name)")
    if found != nil { _ = folder.existing(name) }  // it counts as used now
    return found
  }

  func write(_ features: [Float], of picture: String) { queue.add(features, of: picture) }
  func finish() { queue.waitUntilEmpty() }
  func takeTrouble() -> String? { queue.takeTrouble() }

  fileprivate static func name(of picture: String, space: String) -> String {
    "features/\(space)/\(picture.prefix(2))/\(picture)"
  }
}

/// What the writing thread does, alone: it asks for room by the piece, as looking through the folder takes time.
private final class Writer: @unchecked Sendable {
  private let space: String
  private let count: Int
  private let folder: CacheFolder
  /// When this run began, with a second for clocks of file systems, which may be behind.
  private let start = Date(timeIntervalSinceNow: -1)
  /// Bytes that may be written before room is asked for again.
  private var room = 0
  /// How many are asked for at once.
  private static let piece = 64 << 20

  init(space: String, count: Int, folder: CacheFolder) {
    self.space = space
    self.count = count
    self.folder = folder
  }

  func write(_ features: [Float], of picture: String) throws {
    let file = FeatureFile(space: space, picture: picture, count: count)
    let size = count * MemoryLayout<Float>.size + 4096  // header and the rest of the last block
    if room < size {
      room = max(size, min(folder.limit / 32, Writer.piece))
      guard folder.makeRoom(for: room, usedSince: start) else {
        throw Fault(.cannotWrite, "the cache has reached its limit", at: folder.path, "raise cache.limit_gib")
      }
    }
    try folder.make(FeatureFiles.name(of: picture, space: space)) { try file.write(features, to: $0) }
    room -= size
  }
}

/// What waits to be written, between the threads that compute and the one that writes.
private final class WriteQueue: @unchecked Sendable {
  /// The most bytes that wait.
  private static let limit = 64 << 20

  private let condition = NSCondition()
  private var waiting: [(features: [Float], picture: String)] = []
  private var bytes = 0
  private var isWriting = false
  private var isEnded = false
  private var hasFailed = false
  private var trouble: String?

  func add(_ features: [Float], of picture: String) {
    let size = features.count * MemoryLayout<Float>.size
    condition.withLock {
      guard !hasFailed, waiting.isEmpty || bytes + size <= WriteQueue.limit else { return }
      waiting.append((features, picture))
      bytes += size
      condition.broadcast()
    }
  }

  /// The next to be written, waited for; nil at the end.
  func take() -> (features: [Float], picture: String)? {
    condition.withLock {
      while waiting.isEmpty, !isEnded { condition.wait() }
      guard !waiting.isEmpty else { return nil }
      let next = waiting.removeFirst()
      bytes -= next.features.count * MemoryLayout<Float>.size
      isWriting = true
      return next
    }
  }

  func done() {
    condition.withLock {
      isWriting = false
      condition.broadcast()
    }
  }

  /// Nothing more is written after a failure.
  func fail(_ reason: String) {
    condition.withLock {
      (hasFailed, trouble, isWriting) = (true, reason, false)
      (waiting, bytes) = ([], 0)
      condition.broadcast()
    }
  }

  func waitUntilEmpty() { condition.withLock { while isWriting || !waiting.isEmpty { condition.wait() } } }

  func takeTrouble() -> String? {
    condition.withLock {
      defer { trouble = nil }
      return trouble
    }
  }

  /// Lets the thread leave once all is written.
  func end() {
    condition.withLock {
      isEnded = true
      condition.broadcast()
    }
  }
}
