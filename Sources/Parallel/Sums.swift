/// Elements that stay in the first-level cache while several additions pass over them.
let sumBlock = 2048

/// target[i] = target[i] + source[i]
func add(_ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, count: Int) {
  for i in 0..<count { target[i] += source[i] }
}

/// target[i] = left[i] + target[i]
func add(left: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, count: Int) {
  for i in 0..<count { target[i] = left[i] + target[i] }
}

/// target[i] = left[i] + right[i]; the three do not overlap.
func add(
  _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, count: Int
) {
  for i in 0..<count { target[i] = left[i] + right[i] }
}

/// 64-byte-aligned floats that start as zeros.
final class FlatBuffer: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Float>
  let count: Int
  private let memory: SharedMemory?

  init(count: Int) {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.size, alignment: 64)
    pointer = raw.bindMemory(to: Float.self, capacity: count)
    pointer.initialize(repeating: 0, count: count)
    self.count = count
    memory = nil
  }

  /// A part of memory that others reach too.
  init(_ memory: SharedMemory, from start: Int, count: Int) {
    precondition(start >= 0 && start + count <= memory.count, "FlatBuffer: \(start) + \(count) of \(memory.count)")
    pointer = memory.floats + start
    self.count = count
    self.memory = memory
  }

  deinit {
    if memory == nil { UnsafeMutableRawPointer(pointer).deallocate() }
  }
}
