import Foundation
import Ground

/// What a look through a data file finds, as bytes that can be kept.
protocol KeptIndex {
  var stored: Data { get }
  /// - Returns: nil for bytes that make no sense.
  init?(stored bytes: UnsafeRawBufferPointer)
}

/// The index of a large data file, kept so that later starts need not look for its records again.
struct RecordIndexCache {
  let cache: CacheFolder

  /// Smaller files are looked through faster than anything is worth.
  static let smallestFile = 32 << 20

  /// The index of a file: the kept one, or a new one that is kept where it can be.
  ///
  /// The file goes by its checksum where that is known, else by what the system tells it by: any change to it leads to a
  /// new index.
  /// - Parameter kind: tells apart ways to read a file.
  func index<Index: KeptIndex>(of file: OpenFile, kind: String, scan: () throws -> Index) throws -> Index {
    guard file.byteCount >= RecordIndexCache.smallestFile, let identity = identity(of: file) else { return try scan() }
    let name = "indexes/" + Array("record index 1 \(kind) \(identity)".utf8).withUnsafeBytes(Checksum.digits)
    if let kept: Index = read(name) { return kept }
    // Where the cache cannot be written the index is made anew each time.
    guard let lock = try? cache.lock(name) else { return try scan() }
    return try withExtendedLifetime(lock) {
      if let kept: Index = read(name) { return kept }
      let index = try scan()
      let entries = index.stored
      _ = try? cache.make(name) {
        try writeDurably(entries + Data(entries.withUnsafeBytes(Checksum.digits).utf8), to: $0)
      }
      cache.makeRoom(for: 0, keeping: [name])
      return index
    }
  }

  /// Nil for a file that may change unseen.
  private func identity(of file: OpenFile) -> String? {
    if let content = file.content { return content }
    let identity = file.identity
    guard identity.isSettled() else { return nil }
    let words = [identity.device, identity.inode].map(String.init).joined(separator: " ")
    return "\(words) \(identity.byteCount) \(identity.modified) \(identity.changed)"
  }

  private func read<Index: KeptIndex>(_ name: String) -> Index? {
    guard let file = cache.existing(name), let data = try? readFile(file), data.count >= 32 else { return nil }
    let entries = data.prefix(data.count - 32)
    guard entries.withUnsafeBytes(Checksum.digits) == String(decoding: data.suffix(32), as: UTF8.self) else {
      return nil
    }
    return entries.withUnsafeBytes { Index(stored: $0) }
  }
}

extension RecordIndex: KeptIndex {
  var stored: Data { entries.withUnsafeBytes { Data($0) } }
}
