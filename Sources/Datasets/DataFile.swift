import Foundation
import Ground

/// The records of one entry of the run file's data, opened: a file of any kind, several files, or a folder.
public struct DataFile: Sendable {
  let records: any RecordContainer
  /// The layout that a description of the data set gives.
  let format: (any RecordFormat)?
  /// The files that decide what the records are.
  let files: [String]

  /// - Parameters:
  ///   - path: a file, a pattern for several (`train-{000..012}.tar`), a folder with `metadata.csv` or `metadata.jsonl`,
  ///     or a `dataset_info.json`.
  ///   - dataset: which data set of a `dataset_info.json`.
  ///   - cache: where compressed files are unpacked and indices of large ones are kept; nil: the user's own.
  /// - Throws: `Fault` when a file cannot be read, holds no record, or is malformed.
  public init(_ path: String, dataset: String? = nil, cache: CacheFolder? = nil) throws {
    let cache = cache ?? CacheFolder.standard()
    guard (path as NSString).lastPathComponent == "dataset_info.json" else {
      if let dataset {
        throw Fault(
          .badConfiguration, "'dataset: \(dataset)' is of a dataset_info.json", at: path,
          "name that file by 'path', or remove 'dataset'")
      }
      (records, format) = (try DataFile.open(path, cache), nil)
      files = records.files
      return
    }
    guard let dataset else {
      throw Fault(.badConfiguration, "which of its data sets?", at: path, "name one by the key dataset")
    }
    let info = try DatasetInfo(dataset, in: path)
    (records, format) = (try DataFile.open(info.path, cache), info.format)
    files = [path] + records.files
  }

  public var path: String { records.path }

  /// Whether it holds records with labels rather than conversations: a record has a label and a text or picture, or is a
  /// line of a CSV file that no layout of conversations knows.
  public func looksLabelled(_ columns: LabelColumns) -> Bool {
    // A record that cannot be read tells nothing here; the look at all records finds it.
    guard format == nil,
      let first = (0..<min(records.count, 100)).lazy.compactMap({ try? records.record($0).json }).first
    else { return records.header != nil }
    let isKnown = RecordFormats.all.contains { $0.recognises(first) }
    let hasContent = [columns.text, columns.image].contains { $0.map { first[$0] != nil } ?? false }
    if first["conversations"] == nil, first["messages"] == nil, hasContent,
      columns.label.map({ first[$0] != nil }) ?? !isKnown
    {
      return true
    }
    return records.header != nil && !isKnown
  }

  /// Whether a folder says in a file of its own what its pictures are.
  public static func hasMetadata(_ folder: String) -> Bool { metadata(in: folder) != nil }

  private static func metadata(in folder: String) -> String? {
    ["metadata.jsonl", "metadata.csv", "metadata.parquet"].map { "\(folder)/\($0)" }.first {
      FileManager.default.fileExists(atPath: $0)
    }
  }

  private static func open(_ path: String, _ cache: CacheFolder) throws -> any RecordContainer {
    guard FileIdentity(path) == nil, path.contains("{") else { return try openOne(path, cache) }
    return JoinedRecords(try BraceExpansion.names(path).map { try openOne($0, cache) }, path: path)
  }

  private static func openOne(_ path: String, _ cache: CacheFolder) throws -> any RecordContainer {
    if isFolder(path) {
      guard let metadata = metadata(in: path) else {
        throw Fault(.badData, "a folder without metadata.csv or metadata.jsonl", at: path, "name a file of records")
      }
      return try openOne(metadata, cache)
    }
    let inner = UnpackedFile.innerName(of: path)
    let file = try inner == nil ? OpenFile(path) : UnpackedFile(cache: cache)(path)
    switch ((inner ?? path) as NSString).pathExtension.lowercased() {
    case "tar": return try TarRecords(file, cache: cache)
    case "parquet": return try ParquetRecords(file)
    default: return try RecordFile(file, cache: cache)
    }
  }
}
