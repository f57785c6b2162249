import CResample

extension Picture {
  /// Resizes rows and columns one after the other; what lies between is rounded to 8 bits.
  ///
  /// Rows come first, except where the height shrinks by more than twice what the width does: Pillow's order since 13.
  func resampled(_ plan: ResizePlan, filter: ResampleFilter) -> Picture {
    let across =
      plan.width == width
      ? nil : ResampleWeights(source: width, target: plan.width, window: plan.columns, filter: filter)
    let down =
      plan.height == height
      ? nil : ResampleWeights(source: height, target: plan.height, window: plan.rows, filter: filter)
    if let across, height > plan.height, height - plan.height > 2 * (width - plan.width) {
      let columns = across.allSources
      return passed(columns: columns, rows: plan.rows, across: nil, down: down)
        .passed(columns: plan.columns, rows: 0..<plan.rows.count, across: across.counted(from: columns), down: nil)
    }
    return passed(columns: plan.columns, rows: plan.rows, across: across, down: down)
  }

  /// One pass over the source, 16 rows at a time: each band is resized across, and its rows are added up downwards.
  /// - Parameters:
  ///   - columns: the output columns, `across` being nil the source columns that are kept.
  ///   - rows: the same for rows and `down`.
  private func passed(
    columns: Range<Int>, rows: Range<Int>, across: ResampleWeights?, down: ResampleWeights?
  ) -> Picture {
    let length = 3 * columns.count
    let needed = down?.allSources ?? rows
    let rowPass = across.map(RowPass.init)
    let columnPass = down.map { ColumnPass($0, length: length) }

    return pixels.withUnsafeBufferPointer { source in
      Picture(width: columns.count, height: rows.count) { target in
        var top = needed.lowerBound
        while top < needed.upperBound {
          let count = min(RowPass.bandRows, needed.upperBound - top)
          let stored = ByteRows(start: source.baseAddress! + 3 * width * top, stride: 3 * width, count: count)
          let narrowed = rowPass?.resize(stored) ?? stored.dropping(3 * columns.lowerBound)
          for row in 0..<count {
            if let columnPass {
              columnPass.add(narrowed[row], at: top + row)
            } else {
              (target.baseAddress! + (top + row - needed.lowerBound) * length)
                .update(from: narrowed[row], count: length)
            }
          }
          top += count
        }
        columnPass?.finish(to: target.baseAddress!)
      }
    }
  }
}

/// Some rows of bytes in memory that someone else holds.
private struct ByteRows {
  let start: UnsafePointer<UInt8>
  let stride: Int
  let count: Int

  subscript(row: Int) -> UnsafePointer<UInt8> { start + row * stride }

  /// The same rows without their first `bytes` bytes.
  func dropping(_ bytes: Int) -> ByteRows { ByteRows(start: start + bytes, stride: stride, count: count) }
}

/// Memory for bytes that lives as long as its owner and does not move.
private final class Scratch {
  let start: UnsafeMutablePointer<UInt8>
  init(_ count: Int) { start = .allocate(capacity: max(count, 1)) }
  deinit { start.deallocate() }
}

/// Resizes rows, up to 16 at once, to the columns of `weights`.
private struct RowPass {
  static let bandRows = Int(MMDIST_BAND_ROWS)

  private let weights: ResampleWeights
  /// The source columns that are needed.
  private let sources: Range<Int>
  private let band: Scratch
  private let outputs: Scratch
  private let rows: Scratch

  init(_ weights: ResampleWeights) {
    self.weights = weights
    sources = weights.allSources
    band = Scratch(3 * Self.bandRows * sources.count)
    outputs = Scratch(3 * Self.bandRows * weights.count)
    rows = Scratch(3 * Self.bandRows * weights.count)
  }

  /// The resized rows; they are overwritten by the next call.
  func resize(_ source: ByteRows) -> ByteRows {
    let needed = source.dropping(3 * sources.lowerBound)
    let length = 3 * weights.count
    mmdist_band_from_rows(needed.start, needed.stride, needed.count, 3 * sources.count, band.start)
    weights.weights.withUnsafeBufferPointer { values in
      for column in 0..<weights.count {
        let taken = weights.sources(column)
        mmdist_weigh_band(
          band.start + 3 * Self.bandRows * (taken.lowerBound - sources.lowerBound),
          values.baseAddress! + weights.ranges[column].lowerBound, taken.count,
          outputs.start + 3 * Self.bandRows * column)
      }
    }
    mmdist_rows_from_band(outputs.start, length, rows.start, length, source.count)
    return ByteRows(start: rows.start, stride: length, count: source.count)
  }
}

/// Resizes columns: takes source rows in order and adds each to the output rows that it counts in.
private final class ColumnPass {
  private let weights: ResampleWeights
  private let length: Int
  private var sums: [Int32]
  /// The first output row that is not complete.
  private var first = 0

  init(_ weights: ResampleWeights, length: Int) {
    self.weights = weights
    self.length = length
    sums = [Int32](repeating: 1 << (MMDIST_WEIGHT_BITS - 1), count: weights.count * length)
  }

  func add(_ row: UnsafePointer<UInt8>, at position: Int) {
    while first < weights.count, weights.sources(first).upperBound <= position { first += 1 }
    sums.withUnsafeMutableBufferPointer { sums in
      var output = first
      while output < weights.count {
        let taken = weights.sources(output)
        if taken.lowerBound > position { break }
        if taken.contains(position) {
          let weight = weights.weights[weights.ranges[output].lowerBound + position - taken.lowerBound]
          mmdist_add_weighted(sums.baseAddress! + output * length, row, weight, length)
        }
        output += 1
      }
    }
  }

  func finish(to target: UnsafeMutablePointer<UInt8>) {
    mmdist_clip_sums(sums, target, sums.count)
  }
}
