import Ground

/// A run of device memory that tensors share.
///
/// Memory goes back where it came from when the last tensor that uses it is gone.
public final class Storage: @unchecked Sendable {
  /// The first byte; 64-byte aligned where a pool made it, as the file has it where a file is mapped.
  public let address: UnsafeMutableRawPointer
  public let byteCount: Int
  private let release: () -> Void

  /// - Parameter release: gives the memory back; it may hold on to the memory's owner, such as a mapped file.
  public init(address: UnsafeMutableRawPointer, byteCount: Int, release: @escaping () -> Void) {
    self.address = address
    self.byteCount = byteCount
    self.release = release
  }

  deinit { release() }
}
