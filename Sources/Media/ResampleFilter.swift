import Foundation

/// How pixels are weighted when a picture is resized; the raw values are those of `resample` in model files.
public enum ResampleFilter: Int, CaseIterable, Sendable {
  case nearest = 0
  case lanczos = 1
  case bilinear = 2
  case bicubic = 3
  case box = 4
  case hamming = 5

  /// Half the width of the kernel, in source pixels at scale 1.
  var support: Double {
    switch self {
    case .nearest: 0
    case .box: 0.5
    case .bilinear, .hamming: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  /// The kernel at distance `x` from its centre, before normalisation.
  func callAsFunction(_ x: Double) -> Double {
    let distance = abs(x)
    switch self {
    case .nearest: return 0
    case .box: return x > -0.5 && x <= 0.5 ? 1 : 0
    case .bilinear: return distance < 1 ? 1 - distance : 0
    case .hamming:
      if distance == 0 { return 1 }
      if distance >= 1 { return 0 }
      let angle = distance * Double.pi
      // Its constants are single precision in the reference.
      return sin(angle) / angle * (Double(Float(0.54)) + Double(Float(0.46)) * cos(angle))
    case .bicubic:
      let a = -0.5
      if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
      if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
      return 0
    case .lanczos: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0
    }
  }
}

private func sinc(_ x: Double) -> Double {
  if x == 0 { return 1 }
  let angle = x * Double.pi
  return sin(angle) / angle
}

/// What one resized side takes from the source: for each of its pixels a run of source pixels and their weights.
///
/// The weights are those of Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`: 22-bit fixed point, computed
/// in double precision in its order.
struct ResampleWeights {
  /// For each output pixel its first source pixel and where its weights lie.
  private(set) var starts: [Int] = []
  private(set) var ranges: [Range<Int>] = []
  private(set) var weights: [Int32] = []

  var count: Int { starts.count }

  /// The source pixels that output pixel `index` takes.
  func sources(_ index: Int) -> Range<Int> { starts[index]..<starts[index] + ranges[index].count }

  /// The source pixels from the first to the last that any output pixel takes.
  var allSources: Range<Int> { sources(0).lowerBound..<sources(count - 1).upperBound }

  /// The same weights for a source of which only the pixels `kept` are there.
  func counted(from kept: Range<Int>) -> ResampleWeights {
    var shifted = self
    for pixel in starts.indices { shifted.starts[pixel] -= kept.lowerBound }
    return shifted
  }

  /// - Parameters:
  ///   - source: length of the source side, in pixels.
  ///   - target: length of the whole resized side.
  ///   - window: the output pixels that are wanted.
  init(source: Int, target: Int, window: Range<Int>, filter: ResampleFilter) {
    let scale = Double(Float(source)) / Double(target)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    let inverse = 1 / stretch
    for pixel in window {
      let center = (Double(pixel) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), source)
      var values: [Double] = []
      var sum = 0.0
      for position in first..<max(first, end) {
        let value = filter((Double(position) - center + 0.5) * inverse)
        values.append(value)
        sum += value
      }
      let start = weights.count
      for value in values {
        let scaled = (sum == 0 ? value : value / sum) * Double(1 << 22)
        weights.append(Int32(scaled < 0 ? scaled - 0.5 : scaled + 0.5))
      }
      starts.append(first)
      ranges.append(start..<weights.count)
    }
  }
}
