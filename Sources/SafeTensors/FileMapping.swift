import Foundation
import Ground

/// Maps files of weights so that huge pages can hold them.
///
/// A processor remembers where a few thousand pages lie. Weights in small pages are many more, and reading them costs
/// products some percent of their time, more on virtual machines. Linux keeps files in huge pages too, on file systems that
/// can (ext4, XFS, btrfs of recent kernels), when they are read through a mapping that is aligned and marked so.
enum FileMapping {
  static let hugePage = 2 << 20

  /// Maps `count` bytes read-only at a multiple of a huge page; nil where the system refuses.
  static func map(_ descriptor: Int32, _ count: Int) -> UnsafeRawBufferPointer? {
    let room = count + hugePage
    guard count >= hugePage, let reserved = mmap(nil, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      reserved != MAP_FAILED
    else {
      guard let start = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED else { return nil }
      return UnsafeRawBufferPointer(start: start, count: count)
    }
    let before = (hugePage - Int(bitPattern: reserved) % hugePage) % hugePage
    guard let start = mmap(reserved + before, count, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor, 0),
      start != MAP_FAILED
    else {
      munmap(reserved, room)
      return nil
    }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let end = before + (count + page - 1) / page * page
    if before > 0 { munmap(reserved, before) }
    if end < room { munmap(reserved + end, room - end) }
    madvise(start, count, 14 /* MADV_HUGEPAGE */)
    return UnsafeRawBufferPointer(start: start, count: count)
  }

  static func unmap(_ mapping: UnsafeRawBufferPointer) {
    munmap(UnsafeMutableRawPointer(mutating: mapping.baseAddress), mapping.count)
  }
}

/// Has the system hold a file in huge pages, if it can: where small pages hold it now, they are dropped and the file is
/// read again. What goes wrong is no fault, only slower.
///
/// It is worth its time before long work on the weights. Programs that have mapped the file already keep their pages.
/// - Returns: whether huge pages hold most of the file now.
@discardableResult
public func holdInHugePages(_ path: String) -> Bool {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { return false }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
  let (count, trial) = (Int(status.st_size), 4 * FileMapping.hugePage)
  guard count >= 2 * trial else { return false }
  if hugeShare(descriptor, count) > 0.5 { return true }
  // The beginning shows whether this file system can.
  posix_fadvise(descriptor, 0, off_t(trial), POSIX_FADV_DONTNEED)
  guard hugeShare(descriptor, trial) > 0.5 else { return false }
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
  return hugeShare(descriptor, count) > 0.5
}

/// How much of the first `count` bytes huge pages hold, once each of these pages has been touched.
private func hugeShare(_ descriptor: Int32, _ count: Int) -> Double {
  guard let mapping = FileMapping.map(descriptor, count), let start = mapping.baseAddress else { return 0 }
  defer { FileMapping.unmap(mapping) }
  var sum: UInt8 = 0
  for offset in stride(from: 0, to: count, by: FileMapping.hugePage) { sum &+= mapping[offset] }
  withExtendedLifetime(sum) {}
  let address = String(UInt(bitPattern: start), radix: 16)
  let lines = ((try? readSystemFile("/proc/self/smaps")) ?? "").split(separator: "\n")
  guard let own = lines.firstIndex(where: { $0.hasPrefix(address + "-") }) else { return 0 }
  let line = lines[own...].first { $0.hasPrefix("FilePmdMapped:") }
  let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
  return Double(kibibytes) * 1024 / Double(count)
}
