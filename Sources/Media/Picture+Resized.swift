/// The whole picture after resizing, and the part of it that is wanted.
struct ResizePlan: Equatable {
  var width: Int
  var height: Int
  var columns: Range<Int>
  var rows: Range<Int>

  init(width: Int, height: Int) {
    (self.width, self.height) = (width, height)
    (columns, rows) = (0..<width, 0..<height)
  }
}

extension Picture {
  /// The picture resized to `width` × `height`, equal to Pillow's `Image.resize` in every byte.
  public func resized(width: Int, height: Int, filter: ResampleFilter) -> Picture {
    precondition(width > 0 && height > 0, "resized: \(width) × \(height)")
    return resized(ResizePlan(width: width, height: height), filter: filter)
  }

  /// A part of the resized picture, computed alone: the same bytes as resizing all of it and cutting the part out.
  func resized(_ plan: ResizePlan, filter: ResampleFilter) -> Picture {
    if plan == ResizePlan(width: width, height: height) { return self }
    let isCopy = plan.width == width && plan.height == height
    return isCopy || filter == .nearest ? picked(plan) : resampled(plan, filter: filter)
  }

  /// Each output pixel is the source pixel under its centre.
  private func picked(_ plan: ResizePlan) -> Picture {
    let columns = Self.nearest(source: width, target: plan.width, window: plan.columns)
    let rows = Self.nearest(source: height, target: plan.height, window: plan.rows)
    return pixels.withUnsafeBufferPointer { source in
      Picture(width: columns.count, height: rows.count) { target in
        var next = 0
        for row in rows {
          for column in columns {
            let from = 3 * (row * width + column)
            for channel in 0..<3 { target[next + channel] = source[from + channel] }
            next += 3
          }
        }
      }
    }
  }

  /// Positions are summed up step by step, with the rounding that this has in the reference.
  private static func nearest(source: Int, target: Int, window: Range<Int>) -> [Int] {
    let scale = Double(Float(source)) / Double(target)
    var position = scale * 0.5
    let skipped = min(window.lowerBound, 1 << 24)  // beyond what the reference can hold
    for _ in 0..<skipped { position += scale }
    position += Double(window.lowerBound - skipped) * scale
    return window.map { _ in
      defer { position += scale }
      return min(Int(position), source - 1)
    }
  }
}
