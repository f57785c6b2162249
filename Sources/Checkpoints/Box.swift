/// A block of a tensor: in each dimension the elements `offset ..< offset + size`.
public struct Box: Sendable, Hashable {
  public let offset: [Int]
  public let size: [Int]

  public init(offset: [Int], size: [Int]) {
    precondition(offset.count == size.count, "box: offset \(offset) and size \(size)")
    self.offset = offset
    self.size = size
  }

  /// All of a tensor.
  public init(wholeOf shape: [Int]) {
    self.init(offset: shape.map { _ in 0 }, size: shape)
  }

  public var elementCount: Int { size.reduce(1, *) }

  /// Whether the box is a possible one and lies in a tensor of this shape.
  public func fits(in shape: [Int]) -> Bool {
    offset.count == shape.count
      && zip(shape, zip(offset, size)).allSatisfy { extent, span in
        span.0 >= 0 && span.1 >= 0 && span.0 <= extent && span.1 <= extent - span.0
      }
  }

  /// `[0:128,0:64]`, as Python writes a slice.
  public var slice: String {
    "[\(zip(offset, size).map { "\($0):\($0 + $1)" }.joined(separator: ","))]"
  }
}

// MARK: Cutting

extension Box {
  /// Boxes of at most `elements` elements each that cover a tensor, in row-major order, each contiguous in it.
  ///
  /// The first dimension whose slices are small enough is cut into runs of slices; the dimensions before it are
  /// taken one index at a time. A tensor that is small enough, or has no elements, is one box.
  public static func cut(_ shape: [Int], elements: Int) -> [Box] {
    precondition(elements > 0, "boxes need at least one element")
    guard shape.reduce(1, *) > elements else { return [Box(wholeOf: shape)] }
    let slice = shape.dropFirst().reduce(1, *)
    guard slice <= elements else {
      let inner = cut(Array(shape.dropFirst()), elements: elements)
      return (0..<shape[0]).flatMap { row in inner.map { Box(offset: [row] + $0.offset, size: [1] + $0.size) } }
    }
    let rows = elements / slice
    return stride(from: 0, to: shape[0], by: rows).map { row in
      Box(
        offset: [row] + shape.dropFirst().map { _ in 0 }, size: [min(rows, shape[0] - row)] + shape.dropFirst())
    }
  }
}

// MARK: Covering

extension Box {
  /// Whether boxes that lie in a tensor cover each of its elements exactly once.
  ///
  /// The number of boxes over a point is a step function. It is the constant 1 exactly when its mixed difference,
  /// Σ over boxes of ±1 at each corner (+ for an even number of upper ends), equals that of the whole
  /// tensor. Dimensions that no box cuts are left out. Time and memory: boxes × 2^(cut dimensions).
  /// - Returns: nil when that product exceeds `limit`, so that it cannot be told.
  package static func cover(_ boxes: [Box], _ shape: [Int], limit: Int = 1 << 22) -> Bool? {
    if shape.contains(0) { return true }
    let solid = boxes.filter { !$0.size.contains(0) }
    let cut = shape.indices.filter { d in solid.contains { $0.size[d] != shape[d] } }
    guard cut.count < 22, (solid.count + 1) << cut.count <= limit else { return nil }
    var corners: [[Int]: Int] = [:]
    func add(_ box: Box, weight: Int) {
      for corner in 0..<(1 << cut.count) {
        let place = cut.indices.map { bit in
          box.offset[cut[bit]] + (corner >> bit & 1 == 1 ? box.size[cut[bit]] : 0)
        }
        let sign = corner.nonzeroBitCount.isMultiple(of: 2) ? weight : -weight
        let sum = corners[place, default: 0] + sign
        corners[place] = sum == 0 ? nil : sum
      }
    }
    for box in solid { add(box, weight: 1) }
    add(Box(wholeOf: shape), weight: -1)
    return corners.isEmpty
  }
}

// MARK: Copying

extension Box {
  /// Where the box begins in the tensor's memory, in elements, when it is contiguous there; else nil.
  public func contiguousStart(in shape: [Int]) -> Int? {
    precondition(fits(in: shape), "box \(slice) in \(shape)")
    // Contiguous: one index in each leading dimension, then one run, then whole dimensions.
    let run = size.firstIndex { $0 != 1 } ?? size.count
    for d in size.indices where d > run && size[d] != shape[d] { return nil }
    return zip(offset, shape).reduce(0) { $0 * $1.1 + $1.0 }
  }

  /// Copies the box's elements, stored row-major by themselves, to their places in the tensor's memory.
  package func scatter(
    _ bytes: UnsafeRawBufferPointer, into tensor: UnsafeMutableRawBufferPointer, shape: [Int], elementSize: Int
  ) {
    precondition(fits(in: shape) && bytes.count == elementCount * elementSize, "box \(slice) in \(shape)")
    if bytes.isEmpty { return }
    // Trailing dimensions that the box spans whole join the run that is copied at once.
    var run = shape.count
    while run > 0, size[run - 1] == shape[run - 1] { run -= 1 }
    let outer = max(run - 1, 0)
    let runBytes = size[outer...].reduce(elementSize, *)
    var index = [Int](repeating: 0, count: outer)
    for piece in 0..<bytes.count / runBytes {
      let start = shape.indices.reduce(0) { $0 * shape[$1] + offset[$1] + ($1 < outer ? index[$1] : 0) }
      let source = UnsafeRawBufferPointer(rebasing: bytes[piece * runBytes..<(piece + 1) * runBytes])
      UnsafeMutableRawBufferPointer(rebasing: tensor[(start * elementSize)...]).copyMemory(from: source)
      for d in index.indices.reversed() {
        index[d] += 1
        if index[d] < size[d] { break }
        index[d] = 0
      }
    }
  }
}
