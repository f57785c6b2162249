import CMemoryFile
import Foundation
import Ground

/// Floats that processes of one machine map together: what one writes, the others read.
///
/// They have no name in any file system, so nothing is left behind by a process that ends, and no limit but memory. Who
/// writes when, and who reads after that, is for the ranks' meetings to say.
final class SharedMemory: @unchecked Sendable {
  let floats: UnsafeMutablePointer<Float>
  let count: Int
  /// What other processes find it by while this one is ``open``.
  private(set) var address: [Int64] = []
  private let mapping: UnsafeMutableRawPointer
  private let byteCount: Int
  private var descriptor: Int32 = -1

  /// A token comes before the floats: the number of a process may mean another one to a process in another container.
  private static let header = 64

  /// Makes room for `count` floats, zeros.
  init?(count: Int) {
    let byteCount = Self.header + count * MemoryLayout<Float>.size
    let descriptor = mmdist_memory_file("mmdist gradients")
    guard descriptor >= 0 else { return nil }
    guard ftruncate(descriptor, byteCount) == 0, let mapping = Self.map(descriptor, byteCount) else {
      close(descriptor)
      return nil
    }
    self.count = count
    self.byteCount = byteCount
    self.descriptor = descriptor
    self.mapping = mapping
    floats = (mapping + Self.header).bindMemory(to: Float.self, capacity: count)
    let token = Int64.random(in: .min ... .max)
    mapping.storeBytes(of: token, as: Int64.self)
    address = [Int64(getpid()), Int64(descriptor), token]
  }

  /// Maps what another process has made; nil where that is not to be found.
  init?(at address: [Int64], count: Int) {
    guard address.count == 3 else { return nil }
    let byteCount = Self.header + count * MemoryLayout<Float>.size
    let descriptor = open("/proc/\(address[0])/fd/\(address[1])", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size == byteCount, let mapping = Self.map(descriptor, byteCount)
    else { return nil }
    guard mapping.load(as: Int64.self) == address[2] else {
      munmap(mapping, byteCount)
      return nil
    }
    self.count = count
    self.byteCount = byteCount
    self.address = address
    self.mapping = mapping
    floats = (mapping + Self.header).bindMemory(to: Float.self, capacity: count)
  }

  deinit {
    seal()
    munmap(mapping, byteCount)
  }

  /// From now on no further process can map it.
  func seal() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  private static func map(_ descriptor: Int32, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    let mapping = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    return mapping == MAP_FAILED ? nil : mapping
  }
}
