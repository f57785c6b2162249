import Foundation
import Ground
import SafeTensors
import Tensors

/// Converted weights lie in a cache folder as `weights/DIGITS.safetensors`, an ordinary safetensors file named after the
/// content that it was made from.
///
/// The content is hashed once: beside it, `weights/known-DIGITS` remembers it for the identities (``FileIdentity``) of
/// the files it was read from. That is enough never to use weights of a changed file: one cannot change without its
/// identity changing, files that have not been left alone for two seconds are not remembered, and what was hashed is
/// hashed again while it is converted.
///
/// A found file is trusted when its header says exactly what this conversion would write and all its bytes have the
/// checksum in it; else it is made again.
extension WeightConversion {
  /// To be changed with the layout of the file or the meaning of its numbers.
  static let format = "mmdist converted weights 2"
  /// Values begin at a page of the mapping.
  private static let alignment = 4096

  /// The path of the converted weights, which are made where they are not there or not whole.
  /// - Parameter verifies: whether all bytes of a file that is there are read and checked.
  /// - Throws: `Fault(.cannotWrite)` when there is no room or no permission, `.inputOutput` when the model's files
  ///   change meanwhile.
  public func prepare(in cache: CacheFolder, _ backend: any Backend, verifies: Bool) throws -> (
    path: String, isNew: Bool
  ) {
    var content: Content?
    let digits =
      remembered(in: cache)
      ?? {
        let read = self.content()
        remember(read, in: cache)
        content = read
        return read.digits
      }()
    func kept(_ digits: String) -> String? {
      cache.existing(name(digits)).flatMap { !verifies || isWhole($0) ? $0 : nil }
    }
    if let path = kept(digits) { return (path, false) }
    // What was remembered names the file to look for; what is made is named after what is there now.
    let now = content ?? self.content()
    return try cache.locked(name(now.digits)) {
      // Another run may have made it meanwhile.
      if let path = kept(now.digits) { return (path, false) }
      try checkRoom(in: cache)
      try cache.make(name(now.digits)) { try write(now, to: $0, backend) }
      return ("\(cache.path)/\(name(now.digits))", true)
    }
  }

  /// Maps converted weights; their header is checked, their numbers are not.
  /// - Throws: `Fault(.badData)` when it is not the file of this conversion.
  public func open(_ path: String) throws -> SafeTensorsFile {
    let file = try SafeTensorsFile(path)
    let digits = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
    let checksum = file.metadata["checksum"] ?? ""
    guard file.metadata == metadata(content: digits, checksum: checksum), holdsExpectedWeights(file)
    else { throw Fault(.badData, "these are not the converted weights of this model", at: path, "remove the file") }
    return file
  }

  private func isWhole(_ path: String) -> Bool {
    guard let file = try? open(path) else { return false }
    let bytes = descriptions.flatMap { description in (try? file.bytes(of: description.name)).map(pieces) ?? [] }
    return digits(of: Checksum.digits(ofEach: bytes)) == file.metadata["checksum"]
  }

  /// What of a tensor, or of some whole runs of it, goes into the checksum as one.
  private func pieces(_ bytes: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] {
    let size = WeightConversion.runLength / 2  // the codes of a run
    return stride(from: 0, to: bytes.count, by: size).map {
      UnsafeRawBufferPointer(rebasing: bytes[$0..<min($0 + size, bytes.count)])
    }
  }

  private func name(_ digits: String) -> String { "weights/\(digits).safetensors" }

  private func metadata(content: String, checksum: String) -> [String: String] {
    ["format": WeightConversion.format, "content": content, "checksum": checksum]
  }

  /// Whether the file has these weights and no other, one behind the other.
  private func holdsExpectedWeights(_ file: SafeTensorsFile) -> Bool {
    let expected = descriptions
    guard file.entries.count == expected.count else { return false }
    var end = 0
    return zip(file.entries, expected).allSatisfy { found, expected in
      let (start, entry) = (end, found.value)
      end = entry.range.upperBound
      return found.key == expected.name && entry.dtype == expected.dtype && entry.shape == expected.shape
        && entry.range.lowerBound == start
    }
  }
}

// MARK: Memory of what was read

extension WeightConversion {
  private func remembered(in cache: CacheFolder) -> String? {
    guard let identity = identityDigits, let path = cache.existing("weights/known-\(identity)"),
      let text = try? String(contentsOfFile: path, encoding: .utf8), text.utf8.count == 32,
      text.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit })
    else { return nil }
    return text
  }

  /// A folder that cannot be written is no reason to fail here.
  private func remember(_ content: Content, in cache: CacheFolder) {
    guard let identity = identityDigits else { return }
    _ = try? cache.make("weights/known-\(identity)") {
      try Data(content.digits.utf8).write(to: URL(fileURLWithPath: $0))
    }
  }
}

// MARK: Writing

extension WeightConversion {
  private func checkRoom(in cache: CacheFolder) throws {
    let needed = byteCount + (1 << 20)
    guard cache.makeRoom(for: needed) else {
      throw Fault(
        .cannotWrite, "the converted weights take \(needed) bytes of a cache of \(cache.limit)", at: cache.path,
        "raise the cache's limit")
    }
    try makeFolder(cache.path)
    let system = try? FileManager.default.attributesOfFileSystem(forPath: cache.path)
    if let free = system?[.systemFreeSize] as? Int, free < needed {
      throw Fault(
        .cannotWrite, "the converted weights take \(needed) bytes where \(free) are free", at: cache.path,
        "free space, or set MMDIST_CACHE to another folder")
    }
  }

  /// Converts run by run; the checksum goes into the header when all is written.
  private func write(_ content: Content, to path: String, _ backend: any Backend) throws {
    func header(_ checksum: String) -> [UInt8] {
      safeTensorsHeader(
        descriptions, metadata: metadata(content: content.digits, checksum: checksum),
        alignment: WeightConversion.alignment)
    }
    unlink(path)  // what a process of this number left when it was killed
    let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Fault(.cannotWrite, "cannot write: \(systemReason())", at: path, "check the permissions")
    }
    defer { close(descriptor) }
    try header(String(repeating: "0", count: 32)).withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    var checksums: [String] = []
    var contents = content.runs[...]
    func check(_ run: Run) throws {
      guard Checksum.digits(of: run.stored) == contents.popFirst() else {
        throw Fault(
          .inputOutput, "the weights change while they are read", at: run.source.file.path,
          "start again when they are whole")
      }
    }
    func append(_ bytes: UnsafeRawBufferPointer) throws {
      checksums += pieces(bytes).map(Checksum.digits(of:))
      try writeAll(bytes, to: descriptor, path: path)
    }
    for source in sources {
      switch source.form {
      case .plain(let dtype):
        for run in source.runs {
          try check(run)
          try backend.withBytes(of: backend.cast(run.tensor(backend), to: dtype), append)
        }
      case .nf4:
        let scales = try WeightConversion.quantise(source, backend, before: check) {
          try backend.withBytes(of: $0, append)
        }
        let parts = NF4Weight.parts(
          source.descriptions, shape: source.entry.shape, dtype: source.entry.dtype, scales, backend)
        for part in parts { try part.withUnsafeBytes(append) }
      }
      source.file.release(source.name)
    }
    let first = header(digits(of: checksums))
    guard lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw Fault(.inputOutput, "cannot seek: \(systemReason())", at: path, "check the disk")
    }
    try first.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
  }
}
