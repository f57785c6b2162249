import Datasets
import Foundation
import Ground
import OrderedCollections

/// What the records of a stage are, as far as that can be told at little cost: a checkpoint says it, and a resume compares.
///
/// Of large files some pieces count beside the size, spread evenly from the first byte to the last; pictures do not count.
struct DataIdentity: Equatable {
  struct File: Equatable {
    let path: String
    let byteCount: Int
    let checksum: String
  }

  /// How many records each entry of the run file's data has, less those left out.
  let records: [Int]
  /// The records that are left out as faulty.
  let skipped: [Int]
  /// The files that the records lie in; of folders nothing.
  let files: [File]

  /// How much of all files together is read, and at least of each.
  static let (most, least) = (256 << 20, 1 << 20)

  /// - Parameter known: of stages before, whose files are not read again.
  /// - Throws: `Fault(.inputOutput)` when a file cannot be read.
  init(_ samples: any SampleSource, skipped: [RecordFault], files paths: [String], known: [DataIdentity]) throws {
    records = samples.counts
    self.skipped = skipped.map(\.index)
    let limit = max(DataIdentity.most / max(paths.count, 1), DataIdentity.least)
    let before = known.first { $0.files.map(\.path) == paths }
    files = try before?.files ?? paths.map { try File($0, reading: limit) }
  }
}

extension DataIdentity.File {
  /// The pieces of a file that is not read whole.
  private static let pieces = 64

  /// - Parameter limit: a larger file is read in pieces that together have so many bytes.
  init(_ path: String, reading limit: Int) throws {
    self.path = path
    guard let size = FileIdentity(path)?.byteCount, !isFolder(path) else {
      (byteCount, checksum) = (0, "")
      return
    }
    byteCount = size
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    func failure() -> Fault {
      Fault(.inputOutput, "cannot read: \(systemReason())", at: path, "check that it is a readable file")
    }
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    let pieces = size <= limit ? 1 : DataIdentity.File.pieces
    let length = min(size, limit) / pieces
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: min(max(length, 1), 1 << 20), alignment: 64)
    defer { memory.deallocate() }
    let sum = Checksum()
    for piece in 0..<pieces {
      var place = pieces == 1 ? 0 : (size - length) * piece / (pieces - 1)
      let end = place + length
      while place < end {
        let count = pread(descriptor, memory.baseAddress, min(memory.count, end - place), off_t(place))
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw failure() }
        guard count > 0 else { break }
        sum.add(UnsafeRawBufferPointer(rebasing: memory[..<count]))
        place += count
      }
    }
    checksum = sum.digits
  }
}

// MARK: In checkpoints

extension DataIdentity {
  var json: JSON {
    [
      "records": .array(records.map { .integer($0) }), "skipped": .integer(skipped.count),
      "skipped_xxh3_128": .string(skippedChecksum),
      "files": .array(
        files.map {
          ["path": .string($0.path), "bytes": .integer($0.byteCount), "xxh3_128": .string($0.checksum)]
        }),
    ]
  }

  private var skippedChecksum: String {
    Array(skipped.map(String.init).joined(separator: ",").utf8).withUnsafeBytes(Checksum.digits)
  }

  /// What differs from what a checkpoint says, one sentence each; nothing where it says nothing.
  func differences(from earlier: JSON) -> [String] {
    guard let theirs = earlier["files"]?.array, let counts = earlier["records"]?.array?.compactMap(\.integer),
      let left = earlier["skipped"]?.integer
    else { return [] }
    var found: [String] = []
    if theirs.count != files.count {
      found.append("the records lay in \(theirs.count) files, lie in \(files.count)")
    } else {
      for (file, their) in zip(files, theirs) where their["xxh3_128"]?.string != file.checksum {
        let bytes = their["bytes"]?.integer ?? 0
        let sizes = bytes == file.byteCount ? "" : ": it had \(bytes) bytes, has \(file.byteCount)"
        found.append("the content of \(file.path) has changed\(sizes)")
      }
    }
    if counts != records {
      let numbers = { (counts: [Int]) in counts.map(String.init).joined(separator: " + ") }
      found.append("there were \(numbers(counts)) records to train on, are \(numbers(records))")
    }
    if left != skipped.count {
      found.append("\(left) faulty records were left out, \(skipped.count) are")
    } else if earlier["skipped_xxh3_128"]?.string != skippedChecksum {
      found.append("other faulty records were left out than are now")
    }
    return found
  }
}
