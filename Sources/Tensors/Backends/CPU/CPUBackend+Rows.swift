import Foundation
import Kernels

extension CPUBackend {
  public func gatherRows(_ table: Tensor, _ indices: Tensor) -> Tensor {
    let (y, width, size) = (empty([indices.count, table.width], table.dtype), table.width, table.dtype.size)
    let rowBytes = width * size
    for (row, index) in UnsafeBufferPointer(start: indices.integers, count: indices.count).enumerated() {
      precondition(index >= 0 && index < table.rows, "gatherRows: \(index) of \(table.shape)")
      memcpy(y.bytes + row * rowBytes, table.bytes + Int(index) * rowBytes, rowBytes)
    }
    return cast(y, to: .float32)
  }

  public func scatterAddRows(_ x: Tensor, _ indices: Tensor, rows: Int) -> Tensor {
    let (y, width) = (zeros([rows, x.width]), x.width)
    for (row, index) in UnsafeBufferPointer(start: indices.integers, count: indices.count).enumerated() {
      mmd_accumulate(x.floats + row * width, 1, y.floats + Int(index) * width, width)
    }
    return y
  }

  public func replaceRows(_ base: Tensor, _ indices: Tensor, with values: Tensor?) -> Tensor {
    let (y, rowBytes) = (floats(base.shape), base.width * 4)
    precondition(
      values.map { $0.rows == indices.count && $0.width == base.width } ?? true,
      "replaceRows: \(indices.count) rows of \(base.shape) by \(values?.shape ?? [])")
    memcpy(y.bytes, base.bytes, base.byteCount)
    for (row, index) in UnsafeBufferPointer(start: indices.integers, count: indices.count).enumerated() {
      if let values {
        memcpy(y.bytes + Int(index) * rowBytes, values.bytes + row * rowBytes, rowBytes)
      } else {
        memset(y.bytes + Int(index) * rowBytes, 0, rowBytes)
      }
    }
    return y
  }

  public func joinColumns(_ parts: [Tensor]) -> Tensor {
    let (rows, width) = (parts[0].rows, parts.reduce(0) { $0 + $1.width })
    let y = floats([rows, width])
    precondition(parts.allSatisfy { $0.rows == rows }, "joinColumns: \(parts.map(\.shape))")
    workers.runs(of: rows, size: rowsPerPiece(width)) { range in
      var column = 0
      for part in parts {
        for row in range {
          memcpy(y.floats + row * width + column, part.floats + row * part.width, part.width * 4)
        }
        column += part.width
      }
    }
    return y
  }

  public func columns(_ x: Tensor, _ range: Range<Int>) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= x.width, "columns: \(range) of \(x.shape)")
    let y = floats([x.rows, range.count])
    workers.runs(of: x.rows, size: rowsPerPiece(range.count)) { rows in
      for row in rows {
        memcpy(y.floats + row * range.count, x.floats + row * x.width + range.lowerBound, range.count * 4)
      }
    }
    return y
  }

  public func addRepeated(_ x: Tensor, _ table: Tensor) -> Tensor {
    precondition(x.width == table.width && x.rows % table.rows == 0, "addRepeated: \(x.shape) + \(table.shape)")
    let (y, table, size) = (floats(x.shape), cast(table, to: .float32), table.count)
    workers.run(x.count / size) { block in
      mmd_add(x.floats + block * size, table.floats, y.floats + block * size, size)
    }
    return y
  }

  public func sumRepeated(_ x: Tensor, period: Int) -> Tensor {
    let blocks = x.rows / period
    return columnSum(x.reshaped([blocks, period * x.width])).reshaped([period, x.width])
  }

  public func patches(_ pixels: Tensor, size: Int) -> Tensor {
    let (count, channels, height, width) = (pixels.shape[0], pixels.shape[1], pixels.shape[2], pixels.shape[3])
    let (down, across) = (height / size, width / size)
    let y = floats([count * down * across, channels * size * size])
    workers.run(count * down) { piece in
      let (picture, row) = (piece / down, piece % down)
      for column in 0..<across {
        var to = y.floats + (piece * across + column) * y.width
        for channel in 0..<channels {
          let plane = pixels.floats + (picture * channels + channel) * height * width
          for line in 0..<size {
            memcpy(to, plane + (row * size + line) * width + column * size, size * 4)
            to += size
          }
        }
      }
    }
    return y
  }
}
