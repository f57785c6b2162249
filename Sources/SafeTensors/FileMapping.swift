import Foundation

/// Maps files of weights so that huge pages can hold them.
///
/// A processor remembers where a few thousand pages lie. Weights in small pages are many more, and reading them costs
/// products some percent of their time. Linux keeps files in huge pages too, on file systems that can (ext4, XFS, btrfs of
/// recent kernels), when they are first read through a mapping that is aligned and marked so.
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
