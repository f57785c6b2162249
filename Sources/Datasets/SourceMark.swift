import Foundation
import Ground

/// What tells the records of one source from others at little cost, and is the same of copies on several hosts.
public struct SourceMark: Sendable {
  public let path: String
  public let count: Int
  /// Of the names and sizes of its files; of a folder of pictures, of their names.
  public let digest: UInt64

  init(_ path: String, count: Int, names: [String]) {
    (self.path, self.count) = (path, count)
    digest = Array(names.joined(separator: "\n").utf8).withUnsafeBytes { Checksum.value(of: $0).low }
  }

  init(_ path: String, count: Int, files: [String]) {
    self.init(
      path, count: count,
      names: files.map { "\(($0 as NSString).lastPathComponent) \(FileIdentity($0)?.byteCount ?? -1)" })
  }
}

extension DataFile {
  public var mark: SourceMark { SourceMark(path, count: count, files: files) }
}

extension RecordSource {
  public var mark: SourceMark { SourceMark(path, count: count, files: files) }
}
