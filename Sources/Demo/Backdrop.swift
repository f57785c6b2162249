import Foundation

/// What is behind the figures, and whether the picture looks like a photograph.
struct Backdrop: Equatable, Sendable {
  enum Texture: CaseIterable, Sendable { case plain, stripes, checks, clouds }

  var texture: Texture
  /// Colours of two opposite corners, red, green and blue of 0 to 255; of low saturation, so that figures stand out.
  var first: SIMD3<Double>
  var second: SIMD3<Double>
  /// How far the texture moves the brightness.
  var contrast: Double
  /// Direction and fineness of the texture: waves over the picture, horizontally and vertically.
  var waves: SIMD2<Double>
  var phase: Double
  /// Standard deviation of the grain; 0 for drawings.
  var grain: Double
  var grainSeed: UInt64
  /// A photograph becomes a JPEG of this quality, a drawing a PNG.
  var quality: Int?
}

extension Backdrop {
  init(_ dice: inout Dice) {
    texture = dice.pick(Texture.allCases)
    let isGrey = dice.chance(0.4)
    let brightness = dice.chance(0.5) ? dice.number(in: 195...245) : dice.number(in: 35...95)
    func corner(_ brightness: Double, _ dice: inout Dice) -> SIMD3<Double> {
      var tint = SIMD3<Double>.zero
      if !isGrey { tint = SIMD3(dice.number(in: -9...9), dice.number(in: -9...9), dice.number(in: -9...9)) }
      return tint + brightness
    }
    first = corner(brightness, &dice)
    second = corner(brightness + dice.number(in: -28...28), &dice)
    contrast = dice.number(in: 5...11)
    waves = SIMD2(dice.number(in: -7...7), dice.number(in: 2...7))
    phase = dice.number(in: 0...(2 * Double.pi))
    let isPhotograph = dice.chance(0.7)
    grain = isPhotograph ? dice.number(in: 2...6) : 0
    grainSeed = UInt64(dice.index(below: 1 << 30))
    quality = isPhotograph ? dice.integer(in: 80...95) : nil
  }

  /// The colour at `x`, `y`, both from 0 to 1.
  func colour(x: Double, y: Double) -> SIMD3<Double> {
    let base = first + (second - first) * ((x + y) / 2)
    let along = 2 * Double.pi * (waves.x * x + waves.y * y) + phase
    let pattern: Double
    switch texture {
    case .plain: return base
    case .stripes: pattern = sin(along) > 0 ? 1 : -1
    case .checks: pattern = (Int(x * 8) + Int(y * 8)) % 2 == 0 ? 1 : -1
    case .clouds: pattern = sin(along / 3) * sin(2.3 * Double.pi * (waves.y * x - y) + phase) + 0.5 * sin(along)
    }
    return base + contrast * pattern
  }
}
