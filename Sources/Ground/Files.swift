import Foundation

/// The bytes of a whole file.
/// - Throws: `Fault(.missingInput)` when it is not there, `.inputOutput` when it cannot be read.
public func readFile(_ path: String) throws -> Data {
  guard FileManager.default.fileExists(atPath: path) else {
    throw Fault(.missingInput, "no such file", at: path, "check the path")
  }
  do {
    return try Data(contentsOf: URL(fileURLWithPath: path))
  } catch {
    throw Fault(.inputOutput, "cannot read: \(systemReason())", at: path, "check that it is a readable file")
  }
}

/// The text of a file that the system makes while it is read, such as those below `/proc`: it comes in several pieces,
/// and its size is not known before.
/// - Throws: `Fault(.inputOutput)` when it cannot be read.
public func readSystemFile(_ path: String) throws -> String {
  guard let file = FileHandle(forReadingAtPath: path), let content = try? file.readToEnd() else {
    throw Fault(.inputOutput, "cannot read: \(systemReason())", at: path, "check that the system has it")
  }
  return String(decoding: content, as: UTF8.self)
}

/// Writes a file so that it is either the old one or the whole new one, whatever happens meanwhile:
/// a temporary file beside it, fsync, rename, fsync of the folder.
public func writeDurably(_ bytes: some DataProtocol, to path: String) throws {
  let temporary = path + ".writing"
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw cannotWrite(path) }
  do {
    for region in bytes.regions {
      try region.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    }
    guard fsync(descriptor) == 0 else { throw cannotWrite(path) }
  } catch {
    close(descriptor)
    unlink(temporary)
    throw error
  }
  guard close(descriptor) == 0, rename(temporary, path) == 0 else { throw cannotWrite(path) }
  syncFolder(of: path)
}

public func writeDurably(_ text: String, to path: String) throws {
  try writeDurably(Data(text.utf8), to: path)
}

/// Finds out whether ``writeDurably(_:to:)`` could write `path`, before work is spent on what is to stand there.
/// - Throws: `Fault(.cannotWrite)`.
public func requireWritable(_ path: String) throws {
  var found = stat()
  if path.isEmpty || path.hasSuffix("/") || stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR {
    throw Fault(.cannotWrite, "not the name of a file", at: path, "name a file, not a folder")
  }
  let temporary = path + ".writing"
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw cannotWrite(path) }
  close(descriptor)
  unlink(temporary)
}

/// Writes all of `bytes` to an open descriptor; `path` is for the message.
public func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws {
  var rest = bytes
  while !rest.isEmpty {
    let written = write(descriptor, rest.baseAddress, rest.count)
    if written < 0 {
      if errno == EINTR { continue }
      throw cannotWrite(path)
    }
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
  }
}

/// Makes a rename or a new file in the folder of `path` durable.
public func syncFolder(of path: String) {
  // Foundation's own way traps where the path is one letter.
  let folder = path.contains("/") ? parentFolder(of: path) : "."
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  fsync(descriptor)
  close(descriptor)
}

/// A folder and all folders above it.
public func makeFolder(_ path: String) throws {
  do {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  } catch {
    throw Fault(
      .cannotWrite, "cannot make the folder: \(systemReason())", at: path, "check the path and its permissions")
  }
}

/// What the last failed system call said, in words.
public func systemReason() -> String { String(cString: strerror(errno)) }

/// The fault of a file that the last failed system call could not write.
public func cannotWrite(_ path: String) -> Fault {
  let remedy =
    switch errno {
    case ENOENT, ENOTDIR: "make the folder, or choose another path"
    case ENOSPC, EDQUOT: "free space"
    case EACCES, EPERM, EROFS: "check the permissions"
    default: "free space or check the permissions"
    }
  return Fault(.cannotWrite, "cannot write: \(systemReason())", at: path, remedy)
}

/// The folder that a path lies in: `a` of `a/b` and `a/b/`, nothing of `b`, `/` of `/b`.
public func parentFolder(of path: String) -> String {
  var bare = Substring(path)
  while bare.hasSuffix("/") { bare.removeLast() }
  guard let slash = bare.lastIndex(of: "/") else { return path.hasPrefix("/") ? "/" : "" }
  let folder = String(bare[..<slash])
  return folder.isEmpty ? "/" : folder
}

/// Puts a finished folder in the place of another: at every moment one of the two is whole, the former one as
/// `.replaced` while neither has the name.
public func replaceFolder(_ path: String, with finished: String) throws {
  let former = path + ".replaced"
  if FileManager.default.fileExists(atPath: path) {
    try? FileManager.default.removeItem(atPath: former)
    guard rename(path, former) == 0 else {
      throw Fault(.cannotWrite, "cannot rename: \(systemReason())", at: path, "check the permissions")
    }
  }
  guard rename(finished, path) == 0 else {
    throw Fault(.cannotWrite, "cannot rename: \(systemReason())", at: finished, "check the permissions")
  }
  syncFolder(of: path)
  try? FileManager.default.removeItem(atPath: former)
}
