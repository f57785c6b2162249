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
    throw Fault(.inputOutput, "cannot read: \(readingProblem(path))", at: path, "check that it is a readable file")
  }
}

/// Why a file cannot be read, found by trying once more: where Foundation fails, `errno` is of another call.
private func readingProblem(_ path: String) -> String {
  if isFolder(path) { return "it is a folder, not a file" }
  let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
  guard descriptor >= 0 else { return systemReason() }
  defer { close(descriptor) }
  var byte: UInt8 = 0
  return read(descriptor, &byte, 1) < 0 ? systemReason() : "it changed meanwhile"
}

/// Whether a path is a folder, or a link to one.
public func isFolder(_ path: String) -> Bool {
  var found = stat()
  return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
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
  let temporary = temporaryName(beside: path)
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
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
  guard close(descriptor) == 0, rename(temporary, path) == 0 else {
    let fault = cannotWrite(path)
    unlink(temporary)
    throw fault
  }
  syncFolder(of: path)
}

public func writeDurably(_ text: String, to path: String) throws {
  try writeDurably(Data(text.utf8), to: path)
}

/// A name of this call's own: two programs that write one file at the same time do not meet before its place is taken.
private func temporaryName(beside path: String) -> String {
  "\(path).\(String(UInt64.random(in: .min ... .max), radix: 36)).writing"
}

/// Finds out whether ``writeDurably(_:to:)`` could write `path`, before work is spent on what is to stand there.
/// - Throws: `Fault(.cannotWrite)`.
public func requireWritable(_ path: String) throws {
  if path.isEmpty || path.hasSuffix("/") || isFolder(path) {
    throw Fault(.cannotWrite, "not the name of a file", at: path, "name a file, not a folder")
  }
  let temporary = temporaryName(beside: path)
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
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
/// - Throws: `Fault(.cannotWrite)`.
public func makeFolder(_ path: String) throws {
  func cannotMake(_ reason: String, _ remedy: String) -> Fault {
    Fault(.cannotWrite, "cannot make the folder: \(reason)", at: path, remedy)
  }
  func make(_ folder: String) throws {
    if isFolder(folder) { return }
    let above = parentFolder(of: folder)
    if !above.isEmpty { try make(above) }
    guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
      throw cannotMake(systemReason(), "check the path and its permissions")
    }
    // What is there may be a folder that another process has made since the first look.
    guard isFolder(folder) else {
      throw cannotMake(
        folder == path ? "a file of that name is there" : "'\(folder)' is a file", "choose another path")
    }
  }
  try make(path)
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
