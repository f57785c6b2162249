import Foundation
import Ground

/// Zeroed memory whose pages exist only once they are touched.
///
/// A manifest can claim any size: to ask for it costs nothing here, and to be refused is a fault and not a crash.
final class LazyMemory {
  let bytes: UnsafeMutableRawBufferPointer

  /// - Throws: `Fault(.inputOutput)` that names `place` when the system refuses.
  init(byteCount: Int, at place: String) throws {
    guard let start = calloc(max(byteCount, 1), 1) else {
      throw Fault(
        .inputOutput, "the system has no \(byteCount) bytes of memory for this", at: place,
        "free memory, or check where the checkpoint comes from")
    }
    bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
  }

  deinit { free(bytes.baseAddress) }
}
