import Foundation
import Media
import Tensors

extension Scene {
  /// The picture: the backdrop, then each figure with its shadow, with soft edges, then the grain of a photograph.
  func drawn() -> Picture {
    var canvas = Canvas(width: width, height: height)
    canvas.fill { backdrop.colour(x: $0, y: $1) }
    for figure in figures { canvas.shade(figure) }
    for figure in figures { canvas.paint(figure) }
    if backdrop.grain > 0 { canvas.roughen(deviation: backdrop.grain, seed: backdrop.grainSeed) }
    return canvas.picture
  }

  /// The bytes of the picture's file: JPEG for photographs, PNG for drawings.
  func encoded() throws -> [UInt8] {
    let picture = drawn()
    guard let quality = backdrop.quality else { return try picture.encodedPNG() }
    return try picture.encodedJPEG(quality: quality)
  }

  /// The ending of the picture's file name.
  var fileEnding: String { backdrop.quality == nil ? "png" : "jpg" }
}

extension Colour {
  /// Red, green and blue of 0 to 255.
  fileprivate var rgb: SIMD3<Double> {
    switch self {
    case .red: SIMD3(216, 38, 44)
    case .orange: SIMD3(246, 134, 22)
    case .yellow: SIMD3(250, 220, 44)
    case .green: SIMD3(44, 166, 72)
    case .blue: SIMD3(42, 96, 218)
    case .purple: SIMD3(146, 62, 184)
    }
  }
}

/// Red, green and blue of every pixel while a picture is being drawn; 0 to 255, fractions and all.
private struct Canvas {
  let width: Int
  let height: Int
  private var pixels: [SIMD3<Double>]

  init(width: Int, height: Int) {
    self.width = width
    self.height = height
    pixels = Array(repeating: .zero, count: width * height)
  }

  /// - Parameter colour: of the point `x`, `y`, both from 0 to 1.
  mutating func fill(_ colour: (Double, Double) -> SIMD3<Double>) {
    for row in 0..<height {
      let y = (Double(row) + 0.5) / Double(height)
      for column in 0..<width { pixels[row * width + column] = colour((Double(column) + 0.5) / Double(width), y) }
    }
  }

  /// A figure lit from above, with a rim a little darker than its inside.
  mutating func paint(_ figure: Figure) {
    let size = radius(of: figure)
    cover(figure, reach: 1.2) { point in
      let distance = figure.shape.distance(point) * size
      let light = 1.02 - 0.12 * point.y - (distance > -1.3 ? 0.14 : 0)
      return (figure.colour.rgb * light, 0.5 - distance)
    }
  }

  /// The soft shadow of a figure, below it to the right.
  mutating func shade(_ figure: Figure) {
    var shadow = figure
    let size = radius(of: figure)
    shadow.x += 0.12 * size / Double(width)
    shadow.y += 0.14 * size / Double(height)
    cover(shadow, reach: 1.6) { (.zero, 0.35 * (1 - smoothStep(-0.1, 0.3, figure.shape.distance($0)))) }
  }

  private func radius(of figure: Figure) -> Double { figure.radius * Double(min(width, height)) }

  /// Lays a colour over the pixels around a figure.
  /// - Parameter paint: colour and opacity (cut to 0...1) of a point, in units of the radius and turned with the figure.
  private mutating func cover(
    _ figure: Figure, reach: Double, _ paint: (SIMD2<Double>) -> (colour: SIMD3<Double>, opacity: Double)
  ) {
    let size = radius(of: figure)
    let (x, y) = (figure.x * Double(width), figure.y * Double(height))
    let (sine, cosine) = (sin(figure.angle), cos(figure.angle))
    let rows = max(0, Int(y - reach * size))..<max(0, min(height, Int(y + reach * size) + 1))
    let columns = max(0, Int(x - reach * size))..<max(0, min(width, Int(x + reach * size) + 1))
    for row in rows {
      for column in columns {
        let (right, down) = ((Double(column) + 0.5 - x) / size, (Double(row) + 0.5 - y) / size)
        let (colour, opacity) = paint(SIMD2(right * cosine + down * sine, down * cosine - right * sine))
        let part = min(max(opacity, 0), 1)
        if part > 0 { pixels[row * width + column] += (colour - pixels[row * width + column]) * part }
      }
    }
  }

  /// Adds noise of about normal distribution: most of it to all three channels alike, as a camera's.
  mutating func roughen(deviation: Double, seed: UInt64) {
    let stream = RandomStream([seed])
    for index in pixels.indices {
      let bits = stream.bits(at: index)
      // The sum of four uniform bytes has mean 510 and deviation 147.8.
      let sum = (0..<4).reduce(0) { $0 + Int((bits >> (8 * UInt64($1))) & 0xff) }
      let tint = (4..<7).map { Double((bits >> (8 * UInt64($0))) & 0xff) / 255 - 0.5 }
      pixels[index] += deviation * ((Double(sum) - 510) / 147.8 + SIMD3(tint[0], tint[1], tint[2]))
    }
  }

  var picture: Picture {
    let bytes = [UInt8](unsafeUninitializedCapacity: pixels.count * 3) { bytes, count in
      for (index, pixel) in pixels.enumerated() {
        for channel in 0..<3 { bytes[3 * index + channel] = UInt8(min(max(pixel[channel].rounded(), 0), 255)) }
      }
      count = bytes.count
    }
    return Picture(width: width, height: height, pixels: bytes)
  }
}

private func smoothStep(_ low: Double, _ high: Double, _ value: Double) -> Double {
  let part = min(max((value - low) / (high - low), 0), 1)
  return part * part * (3 - 2 * part)
}
