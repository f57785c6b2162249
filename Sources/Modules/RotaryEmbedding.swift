import Foundation
import Tensors

/// The cosines and sines of rotary positions (Su et al. 2021), made when first needed and kept.
public final class RotaryEmbedding {
  /// How the frequencies of a model that was stretched to longer texts differ from θ^(−2i/D).
  public enum Scaling: Equatable, Sendable {
    case none
    /// All frequencies divided by `factor`.
    case linear(factor: Double)
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a ramp between.
    case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalLength: Double)
  }

  private let frequencies: [Float]
  private var tables: (positions: Int, cosines: Tensor, sines: Tensor)?

  public init(headWidth: Int, theta: Double, scaling: Scaling) {
    frequencies = (0..<headWidth / 2).map { index in
      let plain = Float(1) / powf(Float(theta), Float(2 * index) / Float(headWidth))
      return RotaryEmbedding.scaled(plain, scaling)
    }
  }

  private static func scaled(_ frequency: Float, _ scaling: Scaling) -> Float {
    switch scaling {
    case .none: return frequency
    case .linear(let factor): return frequency / Float(factor)
    case .llama3(let factor, let low, let high, let originalLength):
      let wavelength = 2 * Float.pi / frequency
      if wavelength < Float(originalLength / high) { return frequency }
      if wavelength > Float(originalLength / low) { return frequency / Float(factor) }
      let smooth = (Float(originalLength) / wavelength - Float(low)) / Float(high - low)
      return (1 - smooth) * frequency / Float(factor) + smooth * frequency
    }
  }

  /// Rotates every head of x [T, heads·headWidth] to `positions` [T], all below `limit`.
  public func callAsFunction(_ x: Tensor, heads: Int, positions: Tensor, limit: Int, _ context: Context) -> Tensor {
    let (cosines, sines) = tables(limit, context.backend)
    return context.rotary(x, heads: heads, positions: positions, cosines: cosines, sines: sines)
  }

  private func tables(_ limit: Int, _ backend: any Backend) -> (Tensor, Tensor) {
    if let tables, tables.positions >= limit { return (tables.cosines, tables.sines) }
    var positions = 256
    while positions < limit { positions *= 2 }
    var (cosines, sines): ([Float], [Float]) = ([], [])
    for position in 0..<positions {
      for frequency in frequencies {
        let angle = Float(position) * frequency
        cosines.append(cosf(angle))
        sines.append(sinf(angle))
      }
    }
    let made = (
      positions, backend.tensor(cosines, [positions, frequencies.count]),
      backend.tensor(sines, [positions, frequencies.count])
    )
    tables = made
    return (made.1, made.2)
  }
}
