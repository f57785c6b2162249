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
  /// What other processes find it by until it is sealed; empty where another one has made it.
  private(set) var address: [Int64] = []
  private let mapping: UnsafeMutableRawPointer
  private let byteCount: Int
  private var descriptor: Int32

  /// A token comes before the floats: the number of a process may mean another one to a process in another container.
  private static let header = 64

  /// Makes room for `count` floats, zeros; nil where the system gives none.
  convenience init?(count: Int) {
    self.init(mmdist_memory_file("mmdist gradients"), count: count) { ftruncate($0, $1) == 0 }
    let token = Int64.random(in: .min ... .max)
    mapping.storeBytes(of: token, as: Int64.self)
    address = [Int64(getpid()), Int64(descriptor), token]
  }

  /// Maps what another process has made; nil where that is not to be found.
  convenience init?(at address: [Int64], count: Int) {
    guard address.count == 3 else { return nil }
    self.init(open("/proc/\(address[0])/fd/\(address[1])", O_RDWR | O_CLOEXEC), count: count) { descriptor, byteCount in
      var status = stat()
      return fstat(descriptor, &status) == 0 && status.st_size == byteCount
    }
    seal()
    guard mapping.load(as: Int64.self) == address[2] else { return nil }
  }

  /// Takes over a descriptor, if it is one and can be made, or is found, as long as it has to be.
  private init?(_ descriptor: Int32, count: Int, isAsLong: (Int32, Int) -> Bool) {
    guard descriptor >= 0 else { return nil }
    byteCount = Self.header + count * MemoryLayout<Float>.size
    guard isAsLong(descriptor, byteCount),
      let mapping = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), mapping != MAP_FAILED
    else {
      close(descriptor)
      return nil
    }
    self.count = count
    self.descriptor = descriptor
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
}
